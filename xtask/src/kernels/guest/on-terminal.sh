#!/bin/sh
# on-terminal.sh PROGRAM: runs it on a pseudo-terminal of its own. (telnetd makes one; the queue keeps its input open.)
mkfifo /trial/input 2>/dev/null
telnetd -i -l "$1" <> /trial/input > /dev/null
