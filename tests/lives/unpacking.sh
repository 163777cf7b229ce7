# shellcheck shell=bash
# What unpacks itself into a temporary folder and runs there, as one-file programs do.
# alerts: 2 Program that is not of the image in a container: made or unpacked in the container, and run there
job "$IMAGE" sh -c 'mkdir -p /tmp/_MEI1 && cp /usr/bin/sleep /tmp/_MEI1/app && exec /tmp/_MEI1/app 0.1'
job "$IMAGE" sh -c 'd=$(mktemp -d) && cp /usr/bin/true "$d/" && "$d/true"'
