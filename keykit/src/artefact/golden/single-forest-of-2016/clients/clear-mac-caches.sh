#!/bin/sh
# In the user's own session, after the records of the mobile extension have gone. First, by hand: in Keychain Access, look for
# "adal" and delete all ADAL entries.
set -u
rm -rf "$HOME/Library/Cache/MSRightsManagement"
rm -rf "$HOME/Library/Caches/com.microsoft.RMS-XPCService"
rm -rf "$HOME/Library/Caches/Microsoft Rights Management Services"
rm -rf "$HOME/Library/Containers/com.microsoft.RMS-XPCService"
rm -rf "$HOME/Library/Containers/com.microsoft.RMSTestApp"
rm -f "$HOME/Library/Group Containers/UBF8T346G9.Office/DRM.plist"
killall cfprefsd
