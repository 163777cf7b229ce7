#!/bin/sh
while :; do
    curl -s --unix-socket /var/run/docker.sock --max-time 2 'http://localhost/containers/json?filters=%7B%22health%22%3A%5B%22unhealthy%22%5D%7D'
    sleep 0.5
done >/dev/null 2>&1
