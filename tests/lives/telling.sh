# shellcheck shell=bash
# A start that says where it is, behind tini.
# alerts: 1 Many questions about the system in a container: it asks all of this in a row; once a day
start app "$IMAGE" tini -- start-and-tell.sh sleep infinity
await app pgrep sleep
