@echo off
rem Moves this user to the tenant. At logon, in the user's own context, after Migrate-Client.
setlocal
rem The 64-bit registry program, also where a 32-bit one starts this file.
set Reg=%SystemRoot%\System32\reg.exe
if exist %SystemRoot%\Sysnative\reg.exe set Reg=%SystemRoot%\Sysnative\reg.exe
set /a Version=20261123
set /a Client=0
for /f "tokens=3" %%v in ('%Reg% query HKLM\Software\keykit\Migration /v ClientVersion 2^>nul') do set /a Client=%%v
if not %Client% EQU %Version% (
  echo Migrate-Client has not run here with version %Version%.
  exit /b 1
)
set /a User=0
for /f "tokens=3" %%v in ('%Reg% query HKCU\Software\keykit\Migration /v UserVersion 2^>nul') do set /a User=%%v
if %User% GEQ %Version% (
  echo Version %Version% has run here.
  exit /b 0
)
if exist "%LOCALAPPDATA%\Microsoft\DRM" rd /s /q "%LOCALAPPDATA%\Microsoft\DRM"
if exist "%LOCALAPPDATA%\Microsoft\MSIPC" rd /s /q "%LOCALAPPDATA%\Microsoft\MSIPC"
%Reg% import "%~dp0clean-user.reg" || exit /b 1
%Reg% import "%~dp0migrate-user.reg" || exit /b 1
%Reg% add HKCU\Software\keykit\Migration /v UserVersion /t REG_DWORD /d %Version% /f || exit /b 1
exit /b 0
