#!/bin/sh
# One processor, on which a user runs programs while programs of root with real-time priority take it away, again and
# again. Writes how many each has run. Where the kernel lets itself be preempted (preempt=full), it happens anywhere.
cd /trial || exit
chrt -f 50 taskset 1 sh -c '
number=0
until [ -e /trial/busy.done ]; do
    usleep 20000
    /bin/true real-time $number
    number=$((number + 1))
done
echo $number > /trial/busy.real-time' &
chmod 777 /trial
taskset 1 su nobody -s /bin/sh -c '
number=0
while [ $number -lt 100 ]; do
    /bin/true ordinary $number
    number=$((number + 1))
done
echo $number > /trial/busy.ordinary'
touch /trial/busy.done
wait
cat /trial/busy.ordinary /trial/busy.real-time
