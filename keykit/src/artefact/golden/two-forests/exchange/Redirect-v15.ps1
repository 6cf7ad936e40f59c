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

Remove-Value 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v15\IRM\LicenseServerRedirection' 'https://9a3f2c51-77aa-4b1e-8f2b-0a6a3f3b9c12.rms.eu.aadrm.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v15\IRM\LicenseServerRedirection' 'https://rms.northwind.local/_wmcs/licensing' 'https://connector.northwind.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v15\IRM\LicenseServerRedirection' 'https://rms.northwind.local:443/_wmcs/licensing' 'https://connector.northwind.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v15\IRM\LicenseServerRedirection' 'https://rms.northwind.com/_wmcs/licensing' 'https://connector.northwind.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v15\IRM\LicenseServerRedirection' 'https://rms.northwind.com:443/_wmcs/licensing' 'https://connector.northwind.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v15\IRM\LicenseServerRedirection' 'https://rms.tailspin.local/_wmcs/licensing' 'https://connector.northwind.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v15\IRM\LicenseServerRedirection' 'https://rms.tailspin.local:443/_wmcs/licensing' 'https://connector.northwind.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v15\IRM\LicenseServerRedirection' 'https://rms.tailspin.com/_wmcs/licensing' 'https://connector.northwind.com/_wmcs/licensing'
Set-Text 'LocalMachine' 'SOFTWARE\Microsoft\ExchangeServer\v15\IRM\LicenseServerRedirection' 'https://rms.tailspin.com:443/_wmcs/licensing' 'https://connector.northwind.com/_wmcs/licensing'
