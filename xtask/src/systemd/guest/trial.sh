#!/bin/sh
# Run by the virtual machine's systemd: installs the package, works with the unit as somebody does, and leaves in /out
# what was to be seen. Nothing is judged here. What was seen is handed to the second serial port; then the machine is
# switched off.
mkdir /out
exec > /out/trial.log 2>&1
set -x

# A machine that nobody waits for any more ends by itself.
(sleep 3600; systemctl poweroff --force --force) &

# until_true COMMAND..: asks again and again whether it holds, for at most five minutes.
until_true() {
    waited=0
    until "$@"; do
        [ $waited = 100 ] && return 1
        waited=$((waited + 1))
        sleep 3
    done
}

# said WORDS: whether the journal has a line of the unit with each of them, and only then.
said() {
    journalctl --unit tidewaiter --output cat > /tmp/journal
    for word in "$@"; do
        grep -F -- "$word" /tmp/journal > /tmp/lines || return 1
        mv /tmp/lines /tmp/journal
    done
}

show() {
    systemctl show tidewaiter --property "$1" --value
}

# keep NAME: how the unit is at this moment.
keep() {
    systemctl show tidewaiter > "/out/$1.state"
}

# do_as NAME COMMAND..: keeps with what status it ends, and tells the console how far the trial is.
do_as() {
    name=$1
    shift
    echo "trial: $name" > /dev/console
    "$@"
    echo $? > "/out/$name.status"
}

another_runs() {
    [ "$(show MainPID)" != "$1" ] && [ "$(show SubState)" = running ]
}

do_as install dpkg --install /trial/tidewaiter.deb
keep installed
systemctl is-enabled tidewaiter > /out/enabled
systemd-analyze security tidewaiter --no-pager > /out/security

# Terms count as new from the first event on.
printf '\n[tidewaiter]\nlearn_for = "0s"\n' | cat /trial/term.toml - > /etc/tidewaiter/rules/term.toml
do_as reload systemctl reload tidewaiter
/usr/bin/true term known
until_true said '"Term"' '"known"'
echo 'no rule' > /etc/tidewaiter/rules/broken.toml
do_as reload-broken systemctl reload tidewaiter
keep reloaded
rm /etc/tidewaiter/rules/broken.toml
do_as reload-mended systemctl reload tidewaiter

# One of the stock rules is about this.
pidof tidewaiter
until_true said "$(cat /trial/stock-rule)" '"pidof"'

stopped=$(show MainPID)
echo "$stopped" > /out/stopped.pid
kill -STOP "$stopped"
until_true another_runs "$stopped"
keep restarted
until_true said '"sensor-ended-uncleanly"'

do_as upgrade dpkg --install /trial/tidewaiter-next.deb
keep upgraded
/usr/bin/true term known
/usr/bin/true term new
until_true said '"Term"' '"new"'
dpkg-query --show --showformat '${Version}' tidewaiter > /out/version

do_as stop systemctl stop tidewaiter
keep stopped
do_as purge dpkg --purge tidewaiter
systemctl is-enabled tidewaiter > /out/enabled-after
ls -d /var/lib/tidewaiter /usr/bin/tidewaiter /lib/systemd/system/tidewaiter.service /etc/tidewaiter/tidewaiter.toml > /out/left

journalctl --unit tidewaiter --output json --all > /out/journal
journalctl --output short-monotonic > /out/whole-journal
results=/dev/$(sed 's/.*results=\([A-Za-z0-9]*\).*/\1/' /proc/cmdline)
stty -F "$results" raw
tar -c -C /out . | gzip -1 --force > "$results"
systemctl poweroff --force --force
