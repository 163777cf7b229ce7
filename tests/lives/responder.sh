# shellcheck shell=bash
# What answers health checks is netcat in a loop.
# steady
start web "$IMAGE" sh -c 'while true; do printf "HTTP/1.0 200 OK\r\n\r\nok" | nc -l -p 9999 -q 1 -w 2; done'
repeat 8 within web sh -c 'curl -s -m 1 http://127.0.0.1:9999/ || true'
