# shellcheck shell=dash
# Read by the scenarios: starts and stops sensors.

# start NAME ARGUMENT..: the sensor in the background, ready when this returns. It says as much as `level` is.
level=debug
start() {
    name=$1
    shift
    tidewaiter --log $level "$@" > /out/$name.stdout 2> /out/$name.stderr &
    echo $! > /trial/$name.pid
    wait_for 'Ctrl-C ends it' /out/$name.stderr 300
}

# wait_for TEXT FILE TENTHS: until the file has the text, for so many tenths of a second at most.
wait_for() {
    waited=0
    until grep -q "$1" "$2" || [ $waited = "$3" ]; do
        usleep 100000
        waited=$((waited + 1))
    done
}

# catch_up NAME: waits until the sensor has written what has run until now, which an emulated machine may need long for.
# It looks seldom and at the end alone, to take little of the machine, and make few events, meanwhile.
catch_up() {
    /bin/true catch-up
    waited=0
    until tail -c 2000000 "/out/$1.stdout" | grep -q catch-up || [ $waited = 300 ]; do
        sleep 1
        waited=$((waited + 1))
    done
}

stop() {
    kill -TERM "$(cat "/trial/$1.pid")"
    wait "$(cat "/trial/$1.pid")"
    echo $? > /out/$1.status
}
