function Read-Version([string] $Hive, [string] $Name) {
    $key = (Open-Root $Hive).OpenSubKey($Record)
    if ($null -eq $key) { return 0 }
    try { [int] $key.GetValue($Name, 0) } finally { $key.Close() }
}

