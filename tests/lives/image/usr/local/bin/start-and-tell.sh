#!/bin/bash
# Says where it is, as many do, and waits for what it needs.
set -e
echo "user $(id -u) of $(whoami) on $(hostname), $(uname -a)"
ps aux
df -h /
ip addr || true
printenv | sort | head -5
mount | head -3
for _ in 1 2 3; do (echo > /dev/tcp/127.0.0.1/9) >/dev/null 2>&1 && break; sleep 0.1; done
timeout 1 bash -c '</dev/tcp/127.0.0.1/9' 2>/dev/null || true
exec "$@"
