# Copies /proc out of the guest, as text: a process whose numbers are known is started, the files of all
# processes are copied as they are read, and the copy goes over the console, packed. What busybox's own
# tools make of the same files goes before it.
guest-tests role dwell &
while ! [ -e /tmp/facts ]; do usleep 10000; done
cat /tmp/facts
pid=$(awk '$2 == "pid" { print $3 }' /tmp/facts)
# Until all three sleep their memory changes.
for each in $(awk '$2 == "pid" || $2 == "parent" || $2 == "child" { print $3 }' /tmp/facts); do
    until grep -q 'State:.S' /proc/$each/status; do usleep 10000; done
done

echo "=== awk"
awk '/^Pss:/{s+=$2}END{print s}' /proc/$pid/smaps
awk '/^Rss:/{s+=$2}END{print s}' /proc/$pid/smaps
echo "=== cat"
cat /proc/$pid/smaps | wc -l
echo "=== top"
top -b -n1 | grep -v 'top\|sh /bin'
echo "=== copy"
copy=/tmp/copy/proc
mkdir -p $copy
cd /proc
cp stat meminfo version uptime cpuinfo vmstat loadavg $copy
for each in [0-9]*; do
    mkdir -p $copy/$each/task $copy/$each/fd
    cp $each/stat $each/status $each/statm $each/cmdline $each/comm $each/maps $each/smaps $each/smaps_rollup \
        $each/environ $each/limits $copy/$each 2>/dev/null
    cp -d $each/exe $each/cwd $each/root $copy/$each 2>/dev/null
    cp -d $each/fd/* $copy/$each/fd 2>/dev/null
    for thread in $each/task/*; do
        mkdir -p $copy/$thread
        cp $thread/stat $thread/status $thread/comm $copy/$thread 2>/dev/null
    done
done
cd /tmp/copy
tar cz proc | base64
echo "=== end"
# All of a session end with its leader.
kill $(awk '$2 == "child" || $2 == "pid" || $2 == "parent" { print $3 }' /tmp/facts)
