#!/bin/sh
# on-terminal.sh PROGRAM: runs it on a pseudo-terminal of its own. (telnetd makes one; the queue keeps its input open.)
mkfifo /work/input 2>/dev/null
telnetd -i -l "$1" <> /work/input > /dev/null
