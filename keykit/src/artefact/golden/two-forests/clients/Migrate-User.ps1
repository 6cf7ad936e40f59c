#Requires -Version 5.1
# Direction: from AD RMS to the tenant. What AD RMS protected is opened at the tenant.
# Trap: prepared values stand under the same keys and lead the other way. Import the file that begins with clean- first;
# Migrate-User.ps1 and Migrate-User.cmd do both.
[CmdletBinding(SupportsShouldProcess)]
param([int] $Version = 20261123)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# The view of 64-bit programs, whichever PowerShell runs: keys under WOW6432Node are named as such.
function Open-Root([string] $Hive) {
    [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive] $Hive, [Microsoft.Win32.RegistryView]::Registry64)
}

function Set-Value([string] $Hive, [string] $Path, [string] $Name, $Data, [string] $Kind) {
    if ($PSCmdlet.ShouldProcess("$Hive\$Path", "set '$Name' to '$Data'")) {
        $key = (Open-Root $Hive).CreateSubKey($Path)
        try { $key.SetValue($Name, $Data, [Microsoft.Win32.RegistryValueKind] $Kind) } finally { $key.Close() }
    }
}

function Set-Text([string] $Hive, [string] $Path, [string] $Name, [string] $Data) { Set-Value $Hive $Path $Name $Data 'String' }

function Set-Number([string] $Hive, [string] $Path, [string] $Name, [int] $Data) { Set-Value $Hive $Path $Name $Data 'DWord' }

function Remove-Value([string] $Hive, [string] $Path, [string] $Name) {
    if ($PSCmdlet.ShouldProcess("$Hive\$Path", "delete '$Name'")) {
        $key = (Open-Root $Hive).OpenSubKey($Path, $true)
        if ($null -ne $key) { try { $key.DeleteValue($Name, $false) } finally { $key.Close() } }
    }
}

function Remove-Key([string] $Hive, [string] $Path) {
    if ($PSCmdlet.ShouldProcess("$Hive\$Path", 'delete the key and all below it')) { (Open-Root $Hive).DeleteSubKeyTree($Path, $false) }
}

$Record = 'Software\keykit\Migration'
function Read-Version([string] $Hive, [string] $Name) {
    $key = (Open-Root $Hive).OpenSubKey($Record)
    if ($null -eq $key) { return 0 }
    try { [int] $key.GetValue($Name, 0) } finally { $key.Close() }
}

if ((Read-Version 'LocalMachine' 'ClientVersion') -ne $Version) { throw "Migrate-Client.ps1 has not run here with version $Version." }
if ((Read-Version 'CurrentUser' 'UserVersion') -ge $Version) { Write-Output "Version $Version has run here."; return }
foreach ($store in 'Microsoft\DRM', 'Microsoft\MSIPC') {
    $folder = Join-Path $env:LOCALAPPDATA $store
    if (Test-Path -LiteralPath $folder) { Get-ChildItem -LiteralPath $folder -Force | Remove-Item -Recurse -Force }
}
Remove-Key 'CurrentUser' 'Software\Microsoft\Office\11.0\Common\DRM'
Remove-Key 'CurrentUser' 'Software\Microsoft\Office\12.0\Common\DRM'
Remove-Key 'CurrentUser' 'Software\Microsoft\Office\14.0\Common\DRM'
Remove-Key 'CurrentUser' 'Software\WOW6432Node\Microsoft\Office\11.0\Common\DRM'
Remove-Key 'CurrentUser' 'Software\WOW6432Node\Microsoft\Office\12.0\Common\DRM'
Remove-Key 'CurrentUser' 'Software\WOW6432Node\Microsoft\Office\14.0\Common\DRM'
Remove-Value 'CurrentUser' 'Software\Microsoft\Office\15.0\Common\DRM' 'DefaultServerUrl'
Remove-Value 'CurrentUser' 'Software\Microsoft\Office\15.0\Common\DRM' 'DefaultServer'
Remove-Key 'CurrentUser' 'Software\Microsoft\Office\16.0\Common\DRM'
Set-Text 'CurrentUser' 'Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection' 'https://rms.northwind.local/_wmcs/licensing' 'https://9a3f2c51-77aa-4b1e-8f2b-0a6a3f3b9c12.rms.eu.aadrm.com/_wmcs/licensing'
Set-Text 'CurrentUser' 'Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection' 'https://rms.northwind.local:443/_wmcs/licensing' 'https://9a3f2c51-77aa-4b1e-8f2b-0a6a3f3b9c12.rms.eu.aadrm.com/_wmcs/licensing'
Set-Text 'CurrentUser' 'Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection' 'https://rms.northwind.com/_wmcs/licensing' 'https://9a3f2c51-77aa-4b1e-8f2b-0a6a3f3b9c12.rms.eu.aadrm.com/_wmcs/licensing'
Set-Text 'CurrentUser' 'Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection' 'https://rms.northwind.com:443/_wmcs/licensing' 'https://9a3f2c51-77aa-4b1e-8f2b-0a6a3f3b9c12.rms.eu.aadrm.com/_wmcs/licensing'
Set-Text 'CurrentUser' 'Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection' 'https://rms.tailspin.local/_wmcs/licensing' 'https://9a3f2c51-77aa-4b1e-8f2b-0a6a3f3b9c12.rms.eu.aadrm.com/_wmcs/licensing'
Set-Text 'CurrentUser' 'Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection' 'https://rms.tailspin.local:443/_wmcs/licensing' 'https://9a3f2c51-77aa-4b1e-8f2b-0a6a3f3b9c12.rms.eu.aadrm.com/_wmcs/licensing'
Set-Text 'CurrentUser' 'Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection' 'https://rms.tailspin.com/_wmcs/licensing' 'https://9a3f2c51-77aa-4b1e-8f2b-0a6a3f3b9c12.rms.eu.aadrm.com/_wmcs/licensing'
Set-Text 'CurrentUser' 'Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection' 'https://rms.tailspin.com:443/_wmcs/licensing' 'https://9a3f2c51-77aa-4b1e-8f2b-0a6a3f3b9c12.rms.eu.aadrm.com/_wmcs/licensing'
Set-Text 'CurrentUser' 'Software\Microsoft\Office\16.0\Common\DRM' 'DefaultServerUrl' 'https://9a3f2c51-77aa-4b1e-8f2b-0a6a3f3b9c12.rms.eu.aadrm.com/_wmcs/licensing'
Set-Text 'CurrentUser' 'Software\Microsoft\Office\16.0\Common\DRM' 'DefaultServer' '9a3f2c51-77aa-4b1e-8f2b-0a6a3f3b9c12.rms.eu.aadrm.com'
Set-Number 'CurrentUser' $Record 'UserVersion' $Version
