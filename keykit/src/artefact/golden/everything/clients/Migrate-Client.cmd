@echo off
rem Moves this computer to the tenant. As administrator, at start-up.
setlocal
rem The 64-bit registry program, also where a 32-bit one starts this file.
set Reg=%SystemRoot%\System32\reg.exe
if exist %SystemRoot%\Sysnative\reg.exe set Reg=%SystemRoot%\Sysnative\reg.exe
set /a Version=20261123
set /a Client=0
for /f "tokens=3" %%v in ('%Reg% query HKLM\Software\keykit\Migration /v ClientVersion 2^>nul') do set /a Client=%%v
if %Client% GEQ %Version% (
  echo Version %Version% has run here.
  exit /b 0
)
%Reg% import "%~dp0clean-machine.reg" || exit /b 1
%Reg% import "%~dp0migrate-machine.reg" || exit /b 1
%Reg% add HKLM\Software\keykit\Migration /v ClientVersion /t REG_DWORD /d %Version% /f || exit /b 1
exit /b 0
