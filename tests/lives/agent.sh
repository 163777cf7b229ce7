# shellcheck shell=bash
# An agent that collects what its machine does.
# steady
# alerts: 1 Container engine used from within a container: it lists containers by the engine's socket; once a day
# alerts: 1 Many questions about the system in a container: it asks all of this in a row; once a day
start agent --pid=host --volume /:/rootfs:ro "$IMAGE" agent.sh
await agent pgrep sleep
start heal "$IMAGE" autoheal.sh
repeat 5 within heal true
repeat 5 within agent pgrep -f agent.sh
