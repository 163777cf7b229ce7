# shellcheck shell=dash
# Read by the scenarios: starts and stops sensors.

# start NAME ARGUMENT..: the sensor in the background, ready when this returns. It says as much as `level` is.
level=debug
start() {
    name=$1
    shift
    tidewaiter --log $level "$@" > /out/$name.stdout 2> /out/$name.stderr &
    echo $! > /trial/$name.pid
    waited=0
    until grep -q 'Ctrl-C ends it' /out/$name.stderr || [ $waited = 300 ]; do
        usleep 100000
        waited=$((waited + 1))
    done
}

stop() {
    kill -TERM "$(cat "/trial/$1.pid")"
    wait "$(cat "/trial/$1.pid")"
    echo $? > /out/$1.status
}
