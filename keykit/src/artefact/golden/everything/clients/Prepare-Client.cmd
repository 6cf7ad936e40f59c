@echo off
rem Prepares this computer: it stays with AD RMS until it migrates.
setlocal
rem The 64-bit registry program, also where a 32-bit one starts this file.
set Reg=%SystemRoot%\System32\reg.exe
if exist %SystemRoot%\Sysnative\reg.exe set Reg=%SystemRoot%\Sysnative\reg.exe
set /a Version=0
set /a Client=0
for /f "tokens=3" %%v in ('%Reg% query HKLM\Software\keykit\Migration /v ClientVersion 2^>nul') do set /a Client=%%v
if %Client% GTR 0 (
  echo This computer has migrated: run Rollback-Client.ps1 first.
  exit /b 1
)
%Reg% import "%~dp0prepare-machine.reg" || exit /b 1
exit /b 0
