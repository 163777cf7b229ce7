# shellcheck shell=bash
# PHP's pool, and PHP as a server whose pages have commands run.
# steady
# alerts: 1 Command of a kind that intruders use, run by a server in a container: commands of the application's own; each once a day
start pool "$IMAGE" php-fpm8.2 -F
start app "$IMAGE" php -S 127.0.0.1:8080 -t /srv
await app curl -fsS http://127.0.0.1:8080/index.php
repeat 4 within app curl -fsS http://127.0.0.1:8080/index.php
repeat 2 within pool php-fpm8.2 -t
repeat 2 within pool sh -c 'pgrep php-fpm || exit 1'
