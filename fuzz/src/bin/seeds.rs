//! `cargo run --package keykit-fuzz --bin seeds -- FOLDER`: writes the seeds of every target into a folder of its name, as a corpus.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use keykit_fuzz::targets::ALL;

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(std::io::Error::other("usage: seeds FOLDER"));
    };
    for target in ALL {
        let corpus = folder.join(target.name);
        std::fs::create_dir_all(&corpus)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(corpus.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
