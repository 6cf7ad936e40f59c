#Requires -Version 5.1
#Requires -RunAsAdministrator
[CmdletBinding(SupportsShouldProcess)]
param()
$Task = '\Microsoft\Windows\Active Directory Rights Management Services Client\AD RMS Rights Policy Template Management (Automated)'
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$Hosts = Join-Path $env:SystemRoot 'System32\drivers\etc\hosts'

function Get-OtherLines([string] $Name) {
    @(Get-Content -LiteralPath $Hosts | Where-Object { $_ -notmatch ('^\s*127\.0\.0\.1\s+' + [regex]::Escape($Name) + '\s*$') })
}

function Add-HostLine([string] $Name) {
    if ($PSCmdlet.ShouldProcess($Hosts, "127.0.0.1 $Name")) {
        Set-Content -LiteralPath $Hosts -Value (@(Get-OtherLines $Name) + "127.0.0.1 $Name")
    }
}

function Remove-HostLine([string] $Name) {
    if ($PSCmdlet.ShouldProcess($Hosts, "remove 127.0.0.1 $Name")) { Set-Content -LiteralPath $Hosts -Value @(Get-OtherLines $Name) }
}

# Windows 7 has no cmdlets for tasks.
function Switch-Task([string] $To) {
    & schtasks.exe /Query /TN $Task | Out-Null
    if ($LASTEXITCODE -ne 0) { Write-Output 'The task of templates is not on this computer.'; return }
    if ($PSCmdlet.ShouldProcess($Task, $To)) {
        & schtasks.exe /Change /TN $Task $To
        if ($LASTEXITCODE -ne 0) { throw "schtasks.exe ended with $LASTEXITCODE." }
    }
}

Add-HostLine 'rms.contoso.com'
Add-HostLine 'rms.contoso.local'
Add-HostLine 'rms.emea.contoso.com'
Switch-Task '/Disable'
