#!/bin/sh
set -e
ME=$(basename "$0")
touch /etc/nginx/sites-enabled/default
grep -q "listen  *80;" /etc/nginx/sites-enabled/default && echo "$ME: changed already" && exit 0
sed -i -E 's,listen       80;,listen 80;,' /etc/nginx/sites-enabled/default
nproc=$(getconf _NPROCESSORS_ONLN)
cat /proc/self/cgroup | awk -F: '{print $3}' >/dev/null
echo "$ME: $nproc"
