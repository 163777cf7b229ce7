# shellcheck shell=bash
# Services that are given a terminal in their file of settings; nobody is at it.
# steady
start dates --tty "$IMAGE" sh -c 'while true; do date; sleep 2; done'
start redis --tty --workdir /var/lib/redis "$IMAGE" redis-entrypoint.sh redis-server
start app --tty "$IMAGE" sh -c 'echo starting; python3 --version; exec python3 /srv/app.py'
await app curl -fsS http://127.0.0.1:8080/
await redis redis-cli ping
