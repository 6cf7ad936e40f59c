//! A process that holds secrets, or waits for one, as the system sees it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keykit_tests::child::{NOBODY, say_skipped};

use crate::support::Desk;

/// A child that is ended whatever the test does.
struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).unwrap();
    }
}

impl Waiting {
    /// Starts a program whose standard input stays open, as a user whom the superuser's rights do not help.
    fn start(desk: &Desk, program: &str, arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new(program);
        desk.at_home(command.args(arguments)).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        if desk.path("").metadata().unwrap().uid() == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.spawn().ok().map(Self)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap()
    }

    /// To whom its files in /proc belong: to the superuser, if it may not be dumped (proc(5)).
    fn owner(&self) -> u32 {
        fs::metadata(format!("/proc/{}/status", self.0.id())).unwrap().uid()
    }

    fn core_limit(&self) -> Vec<String> {
        let limits = self.read("limits");
        let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
        line.split_whitespace().take(2).map(str::to_owned).collect()
    }
}

#[test]
fn a_process_that_waits_for_a_password_leaves_no_core_and_no_debugger() {
    let desk = Desk::new();
    fs::set_permissions(desk.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let Some(plain) = Waiting::start(&desk, "cat", &[]) else { panic!("cat does not start") };
    assert_ne!(plain.owner(), 0, "a process of no special care shows who runs it");
    let program = env!("CARGO_BIN_EXE_keykit");
    // The command that gives the password waits for its standard input, which is that of keykit.
    let arguments = ["inspect", "contoso.xml", "--password-source", "exec:touch asked; cat"];
    let Some(mut keykit) = Waiting::start(&desk, program, &arguments) else {
        // A build folder that only the superuser may enter.
        return say_skipped("hardened::a_process_that_waits_for_a_password_leaves_no_core_and_no_debugger", "another user cannot run this binary");
    };
    let begun = Instant::now();
    while !desk.path("asked").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", keykit.read("status"));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(keykit.core_limit(), ["0", "0"]);
    assert_eq!(keykit.owner(), 0, "it may be dumped");
    // It did wait for the password.
    keykit.0.stdin.take().unwrap().write_all(b"wrong\n").unwrap();
    assert_eq!(keykit.0.wait().unwrap().code(), Some(6));
}
