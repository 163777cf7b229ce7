# shellcheck shell=bash
# PostgreSQL as its image starts it, with an archive by rsync, a standby that cleans it up, health checks and a dump.
# steady
start primary --env POSTGRES_PASSWORD=app "$IMAGE" postgres-entrypoint.sh postgres -c listen_addresses=127.0.0.1 \
    -c archive_mode=on -c 'archive_command=rsync -a %p /archive/%f'
await primary pg_isready -h 127.0.0.1 -U postgres
NETWORK="container:$LIFE-primary" start standby --volumes-from "$LIFE-primary" --env PRIMARY=1 "$IMAGE" \
    postgres-entrypoint.sh postgres -c port=5433 \
    -c 'archive_cleanup_command=pg_archivecleanup /archive %r' -c 'restore_command=cp /archive/%f %p'
await standby pg_isready -p 5433 -h 127.0.0.1
for _ in 1 2 3 4; do
    within primary psql -U postgres -h 127.0.0.1 app -c 'create table if not exists t(a int); insert into t values (1); select pg_switch_wal(); checkpoint'
    within primary sh -c 'pg_isready -h 127.0.0.1 -U postgres || exit 1'
done
within standby psql -U postgres -h 127.0.0.1 -p 5433 -c checkpoint
within primary pg_dump -U postgres -h 127.0.0.1 app
within primary bash -c 'pg_dump -U postgres -h 127.0.0.1 app | gzip > /archive/app.sql.gz'
echo 'select 1' | docker exec -i "$LIFE-primary" psql -U postgres -h 127.0.0.1 app
