#Requires -Version 5.1
#Requires -RunAsAdministrator
# Direction: from the tenant to AD RMS. A computer that has not moved opens at AD RMS what others protected with the tenant.
# Trap: what moves the computer later stands under the same keys and leads the other way. It deletes these keys first.
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

if ((Read-Version 'LocalMachine' 'ClientVersion') -gt 0) { throw 'This computer has migrated: run Rollback-Client.ps1 first.' }
Set-Text 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation\EnterpriseCertification' '' 'https://rms.contoso.com:443/_wmcs/certification'
Set-Text 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation\EnterprisePublishing' '' 'https://rms.contoso.com:443/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing' 'https://rms.contoso.com:443/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing' 'https://rms.contoso.com:443/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing' 'https://rms.contoso.com:443/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing' 'https://rms.contoso.com:443/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation\EnterpriseCertification' '' 'https://rms.contoso.com:443/_wmcs/certification'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation\EnterprisePublishing' '' 'https://rms.contoso.com:443/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing' 'https://rms.contoso.com:443/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing' 'https://rms.contoso.com:443/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing' 'https://rms.contoso.com:443/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing' 'https://rms.contoso.com:443/_wmcs/licensing'
