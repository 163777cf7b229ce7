# shellcheck shell=bash
# Redis as its image starts it, asked by its client every moment.
# steady
start db --workdir /var/lib/redis "$IMAGE" redis-entrypoint.sh redis-server
await db redis-cli ping
repeat 5 within db sh -c 'redis-cli ping | grep -q PONG'
repeat 3 within db redis-cli bgsave
