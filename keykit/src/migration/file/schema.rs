//! The documentation of the format, made from the types.

use super::reader::{FieldDescription, Need, Table, TableDescription};
use super::{MigrationFile, SchemaVersion};

/// The text of `docs/migration-file.md`.
#[must_use]
pub fn document() -> String {
    let mut text = format!(
        "# The migration file\n\n\
        `migration.toml` describes a whole migration. `keykit plan --init` prints a commented example; `keykit plan migration.toml --check-only`\n\
        says what is wrong, by rule and with line and column.\n\n\
        The format is TOML 1.1, version `{}`. Unknown keys are refused. No secret stands in the file: passwords are named by their sources.\n\
        Paths that are not absolute count from the folder of the file, those of password sources too; paths inside PKCS#11 URIs should be absolute. Rule numbers are those of [rules.md](rules.md).\n\n\
        This page is made from the types that read the file (`keykit/src/migration/file`); `KEYKIT_WRITE_DOCS=1 cargo test -p keykit written_from_the_types` writes it anew.\n",
        SchemaVersion::TEXT
    );
    describe("", Need::Required, &MigrationFile::describe(), &mut text);
    text
}

fn describe(path: &str, need: Need, table: &TableDescription, text: &mut String) {
    let heading = match (path, need) {
        ("", _) => "At the top".to_owned(),
        (path, Need::Repeated) => format!("`[[{path}]]`"),
        (path, _) => format!("`[{path}]`"),
    };
    let how_often = match (path, need) {
        ("", _) => "",
        (_, Need::Required) => " Required.",
        (_, Need::Optional) => " Optional.",
        (_, Need::Repeated) => " Any number of times.",
    };
    text.push_str(&format!("\n## {heading}\n\n{}{how_often}\n", one_line(&table.about)));
    let (tables, values): (Vec<_>, Vec<_>) = table.fields.iter().partition(|field| field.table.is_some());
    if !values.is_empty() {
        text.push_str("\n| key | | what stands there | meaning |\n|---|---|---|---|\n");
        values.iter().for_each(|field| text.push_str(&row(field)));
    }
    for field in tables {
        if let Some(below) = &field.table {
            let path = if path.is_empty() { field.key.clone() } else { format!("{path}.{}", field.key) };
            describe(&path, field.need, below, text);
        }
    }
}

fn row(field: &FieldDescription) -> String {
    let need = if field.need == Need::Required { "required" } else { "" };
    format!("| `{}` | {need} | {} | {} |\n", field.key, field.form, one_line(&field.about))
}

/// Documentation comments as one line: their lines begin with a blank.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
