//! The demonstration: what keykit does, shown on SoftHSM.

use crate::Result;
use crate::workspace::{ACCELERATOR, CARD_SET, SOFT_CARD, TARGET, Workspace};

/// Shows the program on fresh tokens.
pub(crate) fn run() -> Result {
    let workspace = Workspace::new()?;
    let key = workspace.vector("tpd/key.pem");
    for (token, id) in [(ACCELERATOR, "01"), (CARD_SET, "02"), (SOFT_CARD, "03")] {
        workspace.import_key(token, &key, "slc", id)?;
    }
    workspace.show(&["--version"], 0)?;
    for token in [ACCELERATOR, CARD_SET, SOFT_CARD, TARGET] {
        workspace.show(&["store", "keys", "--store", &workspace.tokens().uri(token)], 0)?;
    }
    Ok(())
}
