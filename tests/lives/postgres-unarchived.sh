# shellcheck shell=bash
# PostgreSQL whose archive is switched off by the command that its manual names.
# steady
start db --env POSTGRES_PASSWORD=app "$IMAGE" postgres-entrypoint.sh postgres -c listen_addresses=127.0.0.1 \
    -c archive_mode=on -c archive_command=/bin/true
await db pg_isready -h 127.0.0.1 -U postgres
for _ in 1 2 3; do within db psql -U postgres -h 127.0.0.1 -c 'create table if not exists t(a int); insert into t values (1); select pg_switch_wal()'; done
