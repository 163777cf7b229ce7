#!/usr/bin/env bash
# In the manner of images of PostgreSQL: prepares the folder as root, and goes on as the user.
set -Eeuo pipefail
export PATH="/usr/lib/postgresql/15/bin:$PATH" PGDATA=/var/lib/postgresql/data
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /archive
    chmod 700 "$PGDATA"
    find "$PGDATA" /archive \! -user postgres -exec chown postgres '{}' +
    exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ -n "${PRIMARY:-}" ]; then
        until pg_basebackup -h 127.0.0.1 -D "$PGDATA" -R -X stream; do sleep 0.5; done
    else
        eval 'initdb --username=postgres --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") -A trust'
        pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p 5432" -w start
        psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc <<< 'CREATE DATABASE app;'
        for f in /docker-entrypoint-initdb.d/*; do
            case "$f" in
                *.sh) bash "$f" ;;
                *.sql) psql -f "$f" ;;
            esac
        done
        pg_ctl -D "$PGDATA" -m fast -w stop
    fi
fi
exec "$@"
