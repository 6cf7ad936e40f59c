#Requires -Version 5.1
#Requires -RunAsAdministrator
# Direction: from AD RMS to the connector. GenConnectorConfig.ps1 does not set these values (rule 201).
# Trap: the value of the preparation stands under this very key and leads the other way, from the tenant to AD RMS.
# The first line below deletes it. Left in place, Exchange would ask AD RMS for the tenant's content, and fail once AD RMS has ended.
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

Remove-Value 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v14\IRM\LicenseServerRedirection' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v14\IRM\LicenseServerRedirection' 'http://rms.contoso.local/_wmcs/licensing' 'https://connector.contoso.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v14\IRM\LicenseServerRedirection' 'https://rms.contoso.com:443/_wmcs/licensing' 'https://connector.contoso.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v14\IRM\LicenseServerRedirection' 'https://rms.contoso.com/_wmcs/licensing' 'https://connector.contoso.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v14\IRM\LicenseServerRedirection' 'http://rms/_wmcs/licensing' 'https://connector.contoso.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v14\IRM\LicenseServerRedirection' 'https://10.0.0.1/_wmcs/licensing' 'https://connector.contoso.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v14\IRM\LicenseServerRedirection' 'https://10.0.0.1:443/_wmcs/licensing' 'https://connector.contoso.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v14\IRM\LicenseServerRedirection' 'https://rms.emea.contoso.com/_wmcs/licensing' 'https://connector.contoso.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v14\IRM\LicenseServerRedirection' 'https://rms.emea.contoso.com:443/_wmcs/licensing' 'https://connector.contoso.com/_wmcs/licensing'
