#Requires -Version 5.1
#Requires -RunAsAdministrator
# Direction: from AD RMS to the tenant. What AD RMS protected is opened at the tenant.
# Trap: prepared values stand under the same keys and lead the other way. Import the file that begins with clean- first;
# Migrate-Client.ps1 and Migrate-Client.cmd do both.
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

if ((Read-Version 'LocalMachine' 'ClientVersion') -ge $Version) { Write-Output "Version $Version has run here."; return }
Remove-Key 'LocalMachine' 'Software\Microsoft\MSDRM\ServiceLocation'
Remove-Key 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation'
Remove-Key 'LocalMachine' 'Software\Microsoft\Office\11.0\Common\DRM'
Remove-Key 'LocalMachine' 'Software\Microsoft\Office\12.0\Common\DRM'
Remove-Key 'LocalMachine' 'Software\Microsoft\Office\14.0\Common\DRM'
Remove-Key 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation'
Remove-Key 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\11.0\Common\DRM'
Remove-Key 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\12.0\Common\DRM'
Remove-Key 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\14.0\Common\DRM'
Set-Text 'LocalMachine' 'Software\Microsoft\MSDRM\ServiceLocation\Activation' '' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/certification'
Set-Text 'LocalMachine' 'Software\Microsoft\MSDRM\ServiceLocation\EnterprisePublishing' '' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\MSDRM\ServiceLocation\EnterpriseCertification' '' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/certification'
Set-Text 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation\EnterpriseCertification' '' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/certification'
Set-Text 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation\EnterprisePublishing' '' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'http://rms.contoso.local/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://rms.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://rms.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'http://rms/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://10.0.0.1/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://10.0.0.1:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://rms.emea.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://rms.emea.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'http://rms.contoso.local/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://rms.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://rms.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'http://rms/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://10.0.0.1/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://10.0.0.1:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://rms.emea.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://rms.emea.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'http://rms.contoso.local/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://rms.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://rms.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'http://rms/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://10.0.0.1/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://10.0.0.1:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://rms.emea.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://rms.emea.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'http://rms.contoso.local/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://rms.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://rms.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'http://rms/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://10.0.0.1/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://10.0.0.1:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://rms.emea.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://rms.emea.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation\EnterpriseCertification' '' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/certification'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation\EnterprisePublishing' '' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'http://rms.contoso.local/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://rms.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://rms.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'http://rms/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://10.0.0.1/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://10.0.0.1:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://rms.emea.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\MSIPC\ServiceLocation\LicensingRedirection' 'https://rms.emea.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'http://rms.contoso.local/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://rms.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://rms.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'http://rms/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://10.0.0.1/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://10.0.0.1:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://rms.emea.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\11.0\Common\DRM\LicenseServerRedirection' 'https://rms.emea.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'http://rms.contoso.local/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://rms.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://rms.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'http://rms/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://10.0.0.1/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://10.0.0.1:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://rms.emea.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\12.0\Common\DRM\LicenseServerRedirection' 'https://rms.emea.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'http://rms.contoso.local/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://rms.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://rms.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'http://rms/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://10.0.0.1/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://10.0.0.1:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://rms.emea.contoso.com/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Text 'LocalMachine' 'Software\WOW6432Node\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection' 'https://rms.emea.contoso.com:443/_wmcs/licensing' 'https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing'
Set-Number 'LocalMachine' $Record 'ClientVersion' $Version
