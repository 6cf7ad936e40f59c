//! What a migration hands to other people and systems: run books and registry files, as typed data and as text.
//!
//! | module | what |
//! |---|---|
//! | [`run_book`] | steps, command lines, what must be seen; as Markdown |
//! | [`power_shell`] | words and command lines that PowerShell reads back as they were meant |
//! | [`registry`] | `.reg` files, written and read |
//! | [`clients`] | registry files and scripts for Windows clients |
//! | [`legacy_toolset`] | the run book of the legacy nShield toolset |

pub mod clients;
pub mod legacy_toolset;
mod names;
pub mod power_shell;
pub mod registry;
pub mod run_book;
