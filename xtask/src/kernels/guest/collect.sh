# shellcheck shell=dash
# Read by init.sh and native.sh: runs the sensor with something to see, and leaves in /out what it wrote. Nothing is
# judged here. `places` has to hold the cgroup folders below which a container's may be made.

. /guest/sensor.sh

echo "${places:?}" > /out/places
tidewaiter doctor > /out/doctor.stdout 2>&1
echo $? > /out/doctor.status

# The recorder also sees the other sensor, which is a program with threads.
start events events --config /guest/whole-arguments.toml
setsid /guest/scenario.sh > /out/scenario.log 2>&1
start run run --rules /guest/environment.toml --config /guest/own-state.toml
env -i HISTFILE=/of/the/scenario TOKEN=secret /bin/true environment
/guest/on-terminal.sh /guest/container-session.sh
stop run
stop events

unshare -p -f -m /guest/below.sh

start busy events
/guest/busy.sh > /out/busy.counts
catch_up busy
stop busy

# The reader stands still while more is made than the ring buffer holds, and the kernel side says so.
export level=trace
start losses events --config /guest/small-ring-buffer.toml
kill -STOP "$(cat /trial/losses.pid)"
filler=$(head -c 4000 /dev/zero | tr '\0' x)
count=0
while [ $count -lt 40 ]; do
    /bin/true $filler
    count=$((count + 1))
done
kill -CONT "$(cat /trial/losses.pid)"
stop losses
