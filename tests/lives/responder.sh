# shellcheck shell=bash
# What answers health checks is netcat in a loop.
# steady
# alerts: 1 Tunnel or listener opened in a container: recorded before the fields that the exceptions of the rule rest on were there
start web "$IMAGE" sh -c 'while true; do printf "HTTP/1.0 200 OK\r\n\r\nok" | nc -l -p 9999 -q 1 -w 2; done'
repeat 8 within web sh -c 'curl -s -m 1 http://127.0.0.1:9999/ || true'
