# shellcheck shell=dash
# Read by init.sh: what root does to the kernel while the sensor runs. Nothing is judged here.
. /guest/sensor.sh
mount -t securityfs securityfs /sys/kernel/security

# until_told TEXT: waits until the sensor writes it, for at most a minute. How often it looked is in /out/waits.
until_told() {
    waited=0
    until grep -q "$1" /out/run.stdout || [ $waited = 300 ]; do
        usleep 200000
        waited=$((waited + 1))
    done
    echo "$1 $waited" >> /out/waits
}

# Waits until the sensor has written two more heartbeats, of which the second is by the clock of now.
until_beating() {
    wanted=$(($(grep -c '"heartbeat"' /out/run.stdout) + 2))
    waited=0
    until [ "$(grep -c '"heartbeat"' /out/run.stdout)" -ge $wanted ] || [ $waited = 300 ]; do
        usleep 200000
        waited=$((waited + 1))
    done
}

# set_clock DAYS
set_clock() {
    date -s "@$(($(date +%s) + $1 * 86400))" > /dev/null
}

start events events --config /guest/sabotaged.toml
start run run --config /guest/sabotaged.toml --rules /guest/term.toml --rules /guest/sequence.toml
/bin/true term known
until_told '"Term"'
until_beating
for days in 2 -4; do
    /bin/true begin "$days"
    set_clock $days
    /bin/true end "$days"
    /bin/true term known
    /bin/true term "new-$days"
    until_told "new-$days"
    until_beating
done
set_clock 2
until_beating

echo integrity > /sys/kernel/security/lockdown
/bin/true term under-integrity
until_told under-integrity
echo confidentiality > /sys/kernel/security/lockdown
/bin/true term under-confidentiality
until_told under-confidentiality
stop run
stop events

tidewaiter run --config /guest/sabotaged.toml > /out/locked.stdout 2> /out/locked.stderr
echo $? > /out/locked.status
