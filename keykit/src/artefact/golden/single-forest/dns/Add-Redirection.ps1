#Requires -Version 5.1
#Requires -Modules DnsServer
# Redirection of the clusters' names to the tenant. Exchange Online learns from it which key belongs to AD RMS; click-to-run
# Office 2016 and later follows it once the old server answers 401.3 (rules 162, 189). The port is not looked at.
# The old server must stay online for clients that are redirected this way (rule 169).
[CmdletBinding(SupportsShouldProcess)]
param([string] $ComputerName = '', [int] $TimeToLive = 3600)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$Server = @{}
if ($ComputerName) { $Server.ComputerName = $ComputerName }

function Find-Service([string] $Zone, [string] $Name, [int] $Port, [string] $Target) {
    Get-DnsServerResourceRecord @Server -ZoneName $Zone -Name $Name -RRType Srv -ErrorAction SilentlyContinue |
        Where-Object { $_.RecordData.Port -eq $Port -and $_.RecordData.DomainName.TrimEnd('.') -eq $Target }
}

function Add-Service([string] $Zone, [string] $Name, [int] $Port, [string] $Target) {
    if (Find-Service $Zone $Name $Port $Target) { Write-Output "$Name.$Zone is there."; return }
    if ($PSCmdlet.ShouldProcess("$Name.$Zone", "add SRV 0 0 $Port $Target")) {
        Add-DnsServerResourceRecord @Server -Srv -ZoneName $Zone -Name $Name -DomainName $Target -Priority 0 -Weight 0 -Port $Port -TimeToLive ([TimeSpan]::FromSeconds($TimeToLive))
    }
}

function Remove-Service([string] $Zone, [string] $Name, [int] $Port, [string] $Target) {
    foreach ($record in @(Find-Service $Zone $Name $Port $Target)) {
        if ($PSCmdlet.ShouldProcess("$Name.$Zone", "remove SRV $Port $Target")) {
            $record | Remove-DnsServerResourceRecord @Server -ZoneName $Zone -Force
        }
    }
}

# The addresses that stood there, one a line.
function Get-SavedName([string] $Zone, [string] $Name) { Join-Path $PSScriptRoot "addresses-$Name.$Zone.txt" }

function Get-Address([string] $Zone, [string] $Name) {
    Get-DnsServerResourceRecord @Server -ZoneName $Zone -Name $Name -RRType A -ErrorAction SilentlyContinue
}

function Add-Address([string] $Zone, [string] $Name, [string] $Address) {
    if ($PSCmdlet.ShouldProcess("$Name.$Zone", "add A $Address")) {
        Add-DnsServerResourceRecord @Server -A -ZoneName $Zone -Name $Name -IPv4Address $Address -TimeToLive ([TimeSpan]::FromSeconds($TimeToLive))
    }
}

function Remove-Addresses([string] $Zone, [string] $Name) {
    foreach ($record in @(Get-Address $Zone $Name)) {
        if ($PSCmdlet.ShouldProcess("$Name.$Zone", "remove A $($record.RecordData.IPv4Address)")) {
            $record | Remove-DnsServerResourceRecord @Server -ZoneName $Zone -Force
        }
    }
}

function Set-Loopback([string] $Zone, [string] $Name) {
    if (Get-DnsServerResourceRecord @Server -ZoneName $Zone -Name $Name -RRType CName -ErrorAction SilentlyContinue) {
        throw "$Name.$Zone is another name (CNAME) of something: change it by hand, and note what it was."
    }
    $saved = Get-SavedName $Zone $Name
    if (-not (Test-Path -LiteralPath $saved)) {
        $old = @(Get-Address $Zone $Name | ForEach-Object { $_.RecordData.IPv4Address.ToString() })
        if ($PSCmdlet.ShouldProcess($saved, 'write down the old addresses')) { Set-Content -LiteralPath $saved -Value $old }
    }
    Remove-Addresses $Zone $Name
    Add-Address $Zone $Name '127.0.0.1'
}

function Restore-Address([string] $Zone, [string] $Name) {
    $saved = Get-SavedName $Zone $Name
    if (-not (Test-Path -LiteralPath $saved)) { throw "$saved is not there: nothing is known about $Name.$Zone." }
    Remove-Addresses $Zone $Name
    Get-Content -LiteralPath $saved | Where-Object { $_ } | ForEach-Object { Add-Address $Zone $Name $_ }
    if ($PSCmdlet.ShouldProcess($saved, 'remove the note')) { Remove-Item -LiteralPath $saved }
}

Add-Service 'contoso.com' '_rmsredir._http._tcp.rms' 80 '5c6bb73b-1038-4eec-863d-49bded473437.rms.eu.aadrm.com'
Add-Service 'contoso.local' '_rmsredir._http._tcp.rms' 80 '5c6bb73b-1038-4eec-863d-49bded473437.rms.eu.aadrm.com'
