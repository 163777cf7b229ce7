#!/bin/busybox sh
# The first program of the virtual machine: mounts what a host has, runs the sensor with something to see, hands
# what it wrote to the second serial port and switches the machine off. Nothing is judged here.
# Kernel command line: layout=v2|hybrid|v1 (how cgroups are mounted).

# A machine that hangs ends by itself.
(/bin/busybox sleep 240; /bin/busybox poweroff -f) &

/bin/busybox mkdir -p /proc /sys /dev /out /trial
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox mkdir -p /dev/pts
/bin/busybox mount -t devpts devpts /dev/pts
/bin/busybox --install -s /bin
export PATH=/bin
cd /

# Where a container's directory is made: the one place of a layout, or each of several.
cgroups=/sys/fs/cgroup
layout=$(sed 's/.*layout=\([a-z0-9]*\).*/\1/' /proc/cmdline)
if [ "$layout" = v2 ]; then
    mount -t cgroup2 cgroup2 $cgroups
    places=$cgroups
else
    mount -t tmpfs tmpfs $cgroups
    mkdir $cgroups/pids
    mount -t cgroup -o pids cgroup $cgroups/pids
    places=$cgroups/pids
fi
if [ "$layout" = hybrid ]; then
    mkdir $cgroups/unified
    mount -t cgroup2 cgroup2 $cgroups/unified
    places="$cgroups/unified $places"
fi
# From 6.11 on a kernel may be without the v1 memory controller.
if [ "$layout" = v1 ]; then
    mkdir $cgroups/memory
    mount -t cgroup -o memory cgroup $cgroups/memory 2>/dev/null && places="$places $cgroups/memory"
fi
export places

# start NAME ARGUMENT..: the sensor in the background, ready when this returns.
start() {
    name=$1
    shift
    tidewaiter --log debug "$@" > /out/$name.stdout 2> /out/$name.stderr &
    echo $! > /trial/$name.pid
    waited=0
    until grep -q 'Ctrl-C ends it' /out/$name.stderr || [ $waited = 300 ]; do
        usleep 100000
        waited=$((waited + 1))
    done
}

stop() {
    kill -TERM $(cat /trial/$1.pid)
    wait $(cat /trial/$1.pid)
    echo $? > /out/$1.status
}

echo $places > /out/places
tidewaiter doctor > /out/doctor.stdout 2>&1
echo $? > /out/doctor.status

# The recorder also sees the other sensor, which is a program with threads.
start events events --config /guest/whole-arguments.toml
setsid /guest/scenario.sh
start run run --rules /guest/environment.toml
HISTFILE=/of/the/scenario TOKEN=secret /bin/true environment
/guest/on-terminal.sh /guest/container-session.sh
stop run
stop events

# The reader stands still while more is made than the ring buffer holds.
start losses events --config /guest/small-ring-buffer.toml
kill -STOP $(cat /trial/losses.pid)
filler=$(head -c 4000 /dev/zero | tr '\0' x)
count=0
while [ $count -lt 40 ]; do
    /bin/true $filler
    count=$((count + 1))
done
kill -CONT $(cat /trial/losses.pid)
stop losses

stty -F /dev/ttyS1 raw
tar -c -C /out . | gzip -1 > /dev/ttyS1
poweroff -f
