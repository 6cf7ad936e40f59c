//! Progress on work that takes more than a moment: a spinner on a terminal, plain lines elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use keykit::migration::Progress;

use crate::output::say;

/// Shows the steps of a migration.
#[derive(Debug)]
pub(crate) struct Steps(ProgressBar);

impl Steps {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }
}

impl Progress for Steps {
    fn step(&self, number: usize, total: usize, what: &str) {
        if self.0.is_hidden() {
            say(format!("[{number}/{total}] {what}"));
        } else {
            self.0.set_message(format!("[{number}/{total}] {what}"));
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
