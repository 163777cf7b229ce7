# shellcheck shell=bash
# Servers that hand a job over as a script: encoded in a variable, through the input of a shell, and in a file.
# alerts: 1 Encoded payload decoded and run in a container: this is how Drone and Woodpecker hand a step over
# alerts: 1 Shell fed by a download or a decoder in a container: the same once more, seen by its pipe
job --env CI_SCRIPT="$(printf 'echo one\necho two\n' | base64 -w0)" "$IMAGE" /bin/sh -c 'echo $CI_SCRIPT | base64 -d | /bin/sh -e'
printf 'set -eo pipefail\necho one\nls -l /srv\n' | job --interactive "$IMAGE" sh -c 'if [ -x /usr/bin/bash ]; then exec /usr/bin/bash; else exec /bin/sh; fi'
start agent --entrypoint tail "$IMAGE" -f /dev/null
docker exec -i "$LIFE-agent" sh -e -c 'printf "echo three\nid\nuname -a\nls\n" > /tmp/step.sh; sh -e /tmp/step.sh'
within agent bash -c 'nohup sh -c "sh -xe /tmp/step.sh > /tmp/out 2>&1; echo \$? > /tmp/result" >/dev/null 2>&1 & wait'
