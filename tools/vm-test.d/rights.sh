# what an ordinary user may and may not do
runuser=(setpriv --reuid 65534 --regid 65534 --clear-groups)
chmod 1777 /tmp
log=$("${runuser[@]}" "$tests" --testing-library swift-testing --filter CANRights 2>&1) || { echo "$log" >&2; exit 1; }
grep -q 'Test namesTheRightThatIsMissing.* passed' <<< "$log" || { echo "$log" >&2; exit 1; }
