#!/bin/busybox sh
# shellcheck shell=dash
# The first program of the virtual machine: mounts what a host has, lets the sensor see something, hands what it wrote
# to the second serial port and switches the machine off.
# Kernel command line: layout=v2|hybrid|v1 (how cgroups are mounted), scenario=collect|sabotage (what there is to see),
# results=PORT (which serial port).

/bin/busybox mkdir -p /proc /sys /dev /out /trial
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev

# A machine that nobody waits for any more ends by itself. (What runs in the background reads from /dev/null.)
(/bin/busybox sleep 1320; /bin/busybox poweroff -f) &

/bin/busybox mkdir -p /dev/pts
/bin/busybox mount -t devpts devpts /dev/pts
# Where a host's udev makes it; a security module of 5.10 looks there when a program is started by its descriptor.
/bin/busybox ln -s /proc/self/fd /dev/fd
/bin/busybox --install -s /bin
export PATH=/bin
cd /

# mount_controller NAME: a v1 hierarchy of one controller, if the kernel has it (from 6.11 on it may lack some).
mount_controller() {
    mkdir $cgroups/$1
    mount -t cgroup -o $1 cgroup $cgroups/$1 2>/dev/null || { rmdir $cgroups/$1; return 1; }
}

# Where a container's directory is made: the one place of a layout, or each of several.
cgroups=/sys/fs/cgroup
layout=$(sed 's/.*layout=\([a-z0-9]*\).*/\1/' /proc/cmdline)
if [ "$layout" = v2 ]; then
    mount -t cgroup2 cgroup2 $cgroups
    places=$cgroups
else
    mount -t tmpfs tmpfs $cgroups
    mount_controller pids
    places=$cgroups/pids
    # runc asks for it.
    mount_controller devices
fi
if [ "$layout" = hybrid ]; then
    mkdir $cgroups/unified
    mount -t cgroup2 cgroup2 $cgroups/unified
    places="$cgroups/unified $places"
fi
if [ "$layout" = v1 ]; then
    mount_controller memory && places="$places $cgroups/memory"
fi
export places

case $(cat /proc/cmdline) in
    *scenario=sabotage*) . /guest/sabotage.sh ;;
    *) . /guest/collect.sh ;;
esac

results=/dev/$(sed 's/.*results=\([A-Za-z0-9]*\).*/\1/' /proc/cmdline)
stty -F "$results" raw
tar -c -C /out . | gzip -1 > "$results"
poweroff -f
