# shellcheck shell=bash
# A program that ends at once and is started again and again.
start app --restart=always "$IMAGE" sh -c 'id -u >/dev/null; grep -qs container= /proc/1/environ; test -r /etc/hosts; sleep 0.3; exit 1'
until [ "$(docker inspect --format "{{.RestartCount}}" "$LIFE-app")" -ge 3 ]; do sleep 0.2; done
docker rm -f "$LIFE-app" >/dev/null
