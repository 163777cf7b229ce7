#!/bin/sh
# What somebody does who opened a shell in a container.
place=${places%% *}
id=f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
mkdir -p $place/docker/$id
echo $$ > $place/docker/$id/cgroup.procs
/guest/apk add curl
