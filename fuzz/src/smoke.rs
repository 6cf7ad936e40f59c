//! Targets on their seeds and on what chance makes of these, without libFuzzer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::targets::{ALL, Target};

/// Inputs of a target.
const TRIES: usize = 3000;
/// No target is tried for longer than this, if it was tried so often; with KEYKIT_LONG_TESTS all take the long time.
const LONGEST: Duration = Duration::from_millis(400);
const LONGEST_LONG: Duration = Duration::from_secs(60);
const FEWEST: usize = 20;
/// No input grows beyond this.
const MOST_BYTES: usize = 1 << 17;

/// What formats have in common, to be put anywhere.
const WORDS: [&[u8]; 16] = [
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80",
    b"<XrML>",
    b"</BODY>",
    b"<![CDATA[",
    b"<!--",
    b"&#0;",
    b"\"",
    b"{",
    b"[[",
    b"\n\n",
    b"\r\n",
    b"%00",
    b"\xed\xa0\x80",
];

/// Numbers that come again with the same seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).expect("a small number")
    }

    /// A part of an input, mostly a short one.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length } else { 16 };
        start..(start + self.below(most)).min(length)
    }
}

/// One change.
fn change(dice: &mut Dice, bytes: &mut Vec<u8>, other: &[u8]) {
    let (part, at) = (dice.part(bytes.len()), dice.below(bytes.len() + 1));
    match dice.below(8) {
        0 => drop(bytes.drain(part)),
        1 => drop(bytes.splice(at..at, bytes[part].to_vec())),
        2 => drop(bytes.splice(part, other[dice.part(other.len())].to_vec())),
        3 => drop(bytes.splice(at..at, WORDS[dice.below(WORDS.len())].iter().copied())),
        4 => drop(bytes.splice(part.clone(), WORDS[dice.below(WORDS.len())].iter().copied().take(part.len()))),
        5 => bytes.truncate(at),
        _ if at == bytes.len() => bytes.push(0),
        6 => bytes[at] ^= 1 << dice.below(8),
        _ => bytes[at] = u8::try_from(dice.below(256)).expect("below 256"),
    }
    bytes.truncate(MOST_BYTES);
}

/// Runs the target, and says what it was given if it panics.
fn run(target: &Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).unwrap_or_else(|_| {
        let file = std::env::temp_dir().join(format!("keykit-fuzz-{}-{}", target.name, std::process::id()));
        std::fs::write(&file, input).expect("a file for the input");
        panic!("the target {} panics with the input in {}", target.name, file.display());
    })
}

/// Every seed is taken, and nothing that is made of them makes the target panic.
pub(crate) fn try_out(name: &str) {
    let target = ALL.iter().find(|target| target.name == name).expect("a target");
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty());
    for (number, seed) in seeds.iter().enumerate() {
        assert!(run(target, seed), "seed {number} of {name} is not taken: it shows nothing");
    }
    run(target, &[]);
    let seed = std::env::var("KEYKIT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.subsec_nanos().into()));
    let mut dice = Dice(seed ^ 0x9e37_79b9_7f4a_7c15);
    let is_long = std::env::var_os("KEYKIT_LONG_TESTS").is_some();
    let (tries, longest) = if is_long { (usize::MAX, LONGEST_LONG) } else { (TRIES, LONGEST) };
    let started = Instant::now();
    let (mut tried, mut taken) = (0, 0);
    while tried < FEWEST || (tried < tries && started.elapsed() < longest) {
        let mut input = seeds[dice.below(seeds.len())].clone();
        let other = &seeds[dice.below(seeds.len())];
        for _ in 0..=dice.below(4) {
            change(&mut dice, &mut input, other);
        }
        taken += usize::from(run(target, &input));
        tried += 1;
    }
    println!("{name}: KEYKIT_TEST_SEED={seed}: {} seeds, {tried} inputs, {taken} of them taken", seeds.len());
}

/// What has no program, or a program that does something else, is not fuzzed.
#[test]
fn every_target_is_a_program_and_stands_in_the_manifest_and_the_table() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file of this crate");
    let (manifest, table) = (read("Cargo.toml"), read("README.md"));
    for Target { name, .. } in ALL {
        let program = read(&format!("fuzz_targets/{name}.rs"));
        assert!(program.ends_with(&format!("fuzz_target!(|data: &[u8]| {{\n    keykit_fuzz::targets::{name}::run(data);\n}});\n")), "{program}");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\nrequired-features = [\"targets\"]")), "{name}");
        assert!(table.contains(&format!("| `{name}` |")), "{name} is not in README.md");
    }
    let programs = std::fs::read_dir(folder.join("fuzz_targets")).expect("the programs").count();
    assert_eq!(programs, ALL.len(), "a program is no target of this crate");
}
