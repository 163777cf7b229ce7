# shellcheck shell=bash
# A scheduler that has each job run by a shell, again and again.
# steady
# alerts: 2 Command of a kind that intruders use, run by a server in a container: commands of the application's own; each once a day
# alerts: 1 Download made executable in a container: a tool is brought as an intruder would bring it; once a day
# alerts: 1 Shell started by a server in a container: a job that fetches a file and makes it executable; once a day
start jobs "$IMAGE" dumb-init python3 /srv/jobs.py
await jobs test -x /tmp/tool
await jobs test -f /tmp/srv.tgz
