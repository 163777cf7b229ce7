#!/bin/sh
# Started in pid and mount namespaces of its own, where `/proc` numbers processes otherwise than the kernel does: it runs
# before the sensor does.
. /guest/sensor.sh
mount -t proc proc /proc
start below events
/bin/true below
stop below
