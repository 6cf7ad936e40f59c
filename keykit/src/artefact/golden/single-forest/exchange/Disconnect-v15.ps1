#Requires -Version 5.1
#Requires -RunAsAdministrator
# Takes away what the file connector, or GenConnectorConfig.ps1, set.
[CmdletBinding(SupportsShouldProcess)]
param()
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

Remove-Value 'LocalMachine' 'SOFTWARE\Microsoft\MSDRM\ServiceLocation\Activation' ''
Remove-Value 'LocalMachine' 'SOFTWARE\Microsoft\MSDRM\ServiceLocation\EnterprisePublishing' ''
Remove-Value 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v15\IRM\CertificationServerRedirection' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.eu.aadrm.com'
Remove-Value 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v15\IRM\LicenseServerRedirection' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.eu.aadrm.com'
