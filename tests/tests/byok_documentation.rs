//! The table of docs/byok.md is the data. `KEYKIT_WRITE_DOCUMENTATION=1 cargo test -p keykit-tests --test byok_documentation`
//! writes it anew.

use std::path::Path;

use keykit::transfer::{Template, TransferProfile, Values};
use keykit_tests::transfers::profiles;

const BEGIN: &str = "<!-- profiles: written from the data, see tests/tests/byok_documentation.rs -->\n";
const END: &str = "<!-- end of profiles -->";

fn numbers(bits: &[usize]) -> String {
    bits.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

fn row(profile: &TransferProfile) -> String {
    let lifetime = profile.kek.lifetime_hours.map_or_else(|| "no limit stated".to_owned(), |hours| format!("{hours} hours"));
    let operations = if profile.kek.operations.is_empty() { "-".to_owned() } else { profile.kek.operations.join(", ") };
    format!(
        "| `{}` | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        profile.name,
        profile.title,
        profile.oaep_hash,
        profile.kek.kind,
        numbers(&profile.kek.bits),
        operations,
        lifetime,
        profile.envelope,
        numbers(&profile.target_bits),
    )
}

fn commands(profile: &TransferProfile) -> String {
    let lines = |commands: &[Template]| commands.iter().map(|command| format!("{}\n", command.fill(&Values::new()))).collect::<String>();
    format!(
        "\n### `{}`\n\n{}. Reference: {}.\n\n```sh\n{}keykit byok wrap SOURCE --profile {} --kek kek.json --kek-fingerprint SHA256 -o FILE\n{}```\n",
        profile.name,
        profile.title,
        profile.reference,
        lines(&profile.fetch),
        profile.name,
        lines(&profile.next),
    )
}

#[test]
fn the_table_in_the_documentation_is_the_data() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/byok.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let mut written = String::from(
        "| profile | receiver | OAEP and MGF1 | key encryption key | its bits | its operations | it lives | file | bits of the RSA key |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    written.extend(profiles().iter().map(row));
    written.extend(profiles().iter().map(commands));
    let new = format!("{before}{BEGIN}\n{written}\n{END}{after}");
    if std::env::var_os("KEYKIT_WRITE_DOCUMENTATION").is_some() {
        std::fs::write(&file, &new).unwrap();
    } else {
        assert!(text == new, "docs/byok.md does not show the profiles as they are; see the head of this test");
    }
}
