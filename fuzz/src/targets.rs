//! A module for every target: `run` does with an input what the target does.

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*

        /// All targets, in the order of their names.
        pub const ALL: &[Target] =
            &[$(Target { name: stringify!($name), run: $name::run, seeds: crate::seeds::$name }),*];

        #[cfg(test)]
        mod smoke {
            $(#[test]
            fn $name() {
                crate::smoke::try_out(stringify!($name));
            })*
        }
    };
}

/// What reads bytes from outside, and how it is held to what it promises.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of the program.
    pub name: &'static str,
    /// Reads an input and checks what must hold; whether the input was taken for what it should be.
    pub run: fn(&[u8]) -> bool,
    /// Inputs to begin with, all of which are taken.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

targets! {
    accepted_files,
    access_proof,
    approval,
    content,
    enabling_bits,
    evidence,
    key_blob,
    key_encryption_key,
    lanes,
    migration_file,
    office,
    pfile,
    pkcs11_uri,
    pkcs8,
    plan,
    registry_file,
    rpmsg,
    run_journal,
    share_file,
    signed_note,
    spki,
    stored_result,
    token_padding,
    tpd,
    transcript,
    transfer_file,
    transfer_lint,
    transfer_profiles,
    xml,
    xrml,
}
