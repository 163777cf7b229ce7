# shellcheck shell=bash
# An application in Python that runs commands for its requests, and is asked whether it lives.
# steady
# alerts: 2 Command of a kind that intruders use, run by a server in a container: commands of the application's own; each once a day
start app --init "$IMAGE" python3 /srv/app.py
await app curl -fsS http://127.0.0.1:8080/
repeat 6 within app curl -fsS http://127.0.0.1:8080/work
repeat 3 within app sh -c 'curl --fail --silent http://localhost:8080/ | grep -q ok'
