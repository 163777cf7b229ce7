# shellcheck shell=bash
# A web server with the scripts of its start, health checks of each form, a reload and rotated logs.
# steady
start web "$IMAGE" nginx-entrypoint.sh nginx -g 'daemon off;'
await web curl -fsS http://127.0.0.1/
repeat 3 within web sh -c 'curl -f http://localhost/ || exit 1'
repeat 3 within web wget -q --spider http://127.0.0.1/
repeat 3 within web sh -c 'wget --no-verbose --tries=1 --spider http://127.0.0.1/ || exit 1'
repeat 3 within web sh -c 'test -f /run/nginx.pid && kill -0 $(cat /run/nginx.pid)'
repeat 3 within web pgrep nginx
repeat 3 within web nc -z 127.0.0.1 80
repeat 3 within web bash -c '</dev/tcp/127.0.0.1/80'
repeat 3 within web bash -c 'exec 3<>/dev/tcp/127.0.0.1/80; echo -ne "GET / HTTP/1.1\r\nhost: localhost\r\nConnection: close\r\n\r\n" >&3; grep -q "200 OK" <&3'
repeat 3 within web bash -c 'cat < /dev/null > /dev/tcp/127.0.0.1/80'
repeat 3 within web python3 -c 'import urllib.request as r; r.urlopen("http://127.0.0.1/")'
repeat 3 within web python3 -c 'import socket; s = socket.create_connection(("127.0.0.1", 80)); s.close()'
repeat 3 within web php -r 'exit(file_get_contents("http://127.0.0.1/") ? 0 : 1);'
repeat 3 within web perl -MIO::Socket::INET -e 'exit(IO::Socket::INET->new("127.0.0.1:80") ? 0 : 1)'
repeat 3 within web sh -c 'ps aux | grep -v grep | grep -q nginx'
repeat 3 within web sh -c 'ss -ltn | grep -q :80'
within web nginx -s reload
within web logrotate -f /etc/logrotate.d/nginx || true
