#Requires -Version 5.1
# Takes away the values that the file of the same end sets. It does not bring back what was cleaned away: prepare anew.
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

Remove-Value 'CurrentUser' 'Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection' 'https://rms.contoso.local/_wmcs/licensing'
Remove-Value 'CurrentUser' 'Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection' 'https://rms.contoso.local:443/_wmcs/licensing'
Remove-Value 'CurrentUser' 'Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection' 'https://rms.contoso.com/_wmcs/licensing'
Remove-Value 'CurrentUser' 'Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection' 'https://rms.contoso.com:443/_wmcs/licensing'
Remove-Value 'CurrentUser' 'Software\Microsoft\Office\15.0\Common\DRM' 'DefaultServerUrl'
Remove-Value 'CurrentUser' 'Software\Microsoft\Office\15.0\Common\DRM' 'DefaultServer'
Remove-Value 'CurrentUser' 'Software\Microsoft\Office\16.0\Common\DRM' 'DefaultServerUrl'
Remove-Value 'CurrentUser' 'Software\Microsoft\Office\16.0\Common\DRM' 'DefaultServer'
Remove-Value 'CurrentUser' $Record 'UserVersion'
