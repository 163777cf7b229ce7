#!/bin/sh
# What the recorded events are of. The last argument of each program says which check looks for it; programs are
# called by path, because this shell has some of them built in. Runs as the leader of a session of its own.

cd /trial || exit
/bin/true $$ fields
cd /

/guest/script.sh script

# 1 MiB is the longest that the configuration allows; these are a little less, so that all has to arrive.
set --
number=0
padding=$(head -c 10000 /dev/zero | tr '\0' x)
while [ $number -lt 104 ]; do
    set -- "$@" "$number-$padding"
    number=$((number + 1))
done
/bin/true "$@" long-arguments

sh -c 'exit 3' exit-3
sh -c 'kill -KILL $$' killed

su nobody -s /bin/true -- as-nobody
cp /bin/busybox /trial/set-user-id
chmod 4755 /trial/set-user-id
su nobody -s /trial/set-user-id -- set-user-id

unshare -p -f /bin/true in-pid-namespace

mkdir /trial/root
mount -t tmpfs tmpfs /trial/root
mkdir /trial/root/tools
cp /bin/busybox /trial/root/tools/true
/trial/root/tools/true across-mount
chroot /trial/root /tools/true in-root

/bin/true no-terminal
/guest/on-terminal.sh /guest/terminal-session.sh
/guest/on-terminal.sh /guest/runc-on-terminal.sh
/guest/run-container.sh a123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef false runc

number=0
for place in ${places:?}; do
    number=$((number + 1))
    id=${number}123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    mkdir -p $place/docker/$id
    sh -c 'echo $$ > $1/cgroup.procs; exec /bin/true container $2' sh $place/docker/$id $id
done
