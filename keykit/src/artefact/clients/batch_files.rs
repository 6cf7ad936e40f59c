//! Batch files for computers whose PowerShell is too old for the scripts, as Windows 7 came with. They import the registry files
//! beside them and hold no name of the organisation, so there is nothing in them to quote.

/// `Prepare-Client.cmd`.
pub(super) fn prepare() -> Vec<u8> {
    let body = format!(
        "{}if %Client% GTR 0 (\n  echo This computer has migrated: run Rollback-Client.ps1 first.\n  exit /b 1\n)\n{}",
        read("Client", "HKLM", "ClientVersion"),
        import("prepare-machine.reg")
    );
    file(0, "Prepares this computer: it stays with AD RMS until it migrates.", &body)
}

/// `Migrate-Client.cmd`.
pub(super) fn migrate_client(version: u32) -> Vec<u8> {
    let body = format!(
        "{}{}{}{}{}",
        read("Client", "HKLM", "ClientVersion"),
        already("Client"),
        import("clean-machine.reg"),
        import("migrate-machine.reg"),
        record("HKLM", "ClientVersion")
    );
    file(version, "Moves this computer to the tenant. As administrator, at start-up.", &body)
}

/// `Migrate-User.cmd`.
pub(super) fn migrate_user(version: u32) -> Vec<u8> {
    let stores: String = ["DRM", "MSIPC"]
        .iter()
        .map(|store| format!("if exist \"%LOCALAPPDATA%\\Microsoft\\{store}\" rd /s /q \"%LOCALAPPDATA%\\Microsoft\\{store}\"\n"))
        .collect();
    let body = format!(
        "{}if not %Client% EQU %Version% (\n  echo Migrate-Client has not run here with version %Version%.\n  exit /b 1\n)\n{}{}{stores}{}{}{}",
        read("Client", "HKLM", "ClientVersion"),
        read("User", "HKCU", "UserVersion"),
        already("User"),
        import("clean-user.reg"),
        import("migrate-user.reg"),
        record("HKCU", "UserVersion")
    );
    file(version, "Moves this user to the tenant. At logon, in the user's own context, after Migrate-Client.", &body)
}

fn file(version: u32, purpose: &str, body: &str) -> Vec<u8> {
    let text = format!(
        "@echo off\n\
         rem {purpose}\n\
         setlocal\n\
         rem The 64-bit registry program, also where a 32-bit one starts this file.\n\
         set Reg=%SystemRoot%\\System32\\reg.exe\n\
         if exist %SystemRoot%\\Sysnative\\reg.exe set Reg=%SystemRoot%\\Sysnative\\reg.exe\n\
         set /a Version={version}\n\
         {body}exit /b 0\n"
    );
    text.replace('\n', "\r\n").into_bytes()
}

/// Reads a recorded version into a variable; 0 if there is none.
fn read(variable: &str, root: &str, name: &str) -> String {
    format!("set /a {variable}=0\nfor /f \"tokens=3\" %%v in ('%Reg% query {root}\\{} /v {name} 2^>nul') do set /a {variable}=%%v\n", super::RECORD)
}

fn already(variable: &str) -> String {
    format!("if %{variable}% GEQ %Version% (\n  echo Version %Version% has run here.\n  exit /b 0\n)\n")
}

fn import(name: &str) -> String {
    format!("%Reg% import \"%~dp0{name}\" || exit /b 1\n")
}

fn record(root: &str, name: &str) -> String {
    format!("%Reg% add {root}\\{} /v {name} /t REG_DWORD /d %Version% /f || exit /b 1\n", super::RECORD)
}
