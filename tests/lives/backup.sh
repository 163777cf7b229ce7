# shellcheck shell=bash
# What is run at night: archives, copies, removal of the old.
# steady
# alerts: 1 Traces removed in a container: logs are removed or linked away
start data --volume /backup "$IMAGE" sleep infinity
within data tar czf /backup/etc.tgz /etc/hosts /etc/nginx
within data cp -a /etc/crontab /backup/
within data cp -a /etc/cron.d /backup/
within data rsync -a /etc/nginx /backup/
within data sh -c 'tar c /srv | gzip > /backup/srv.tgz'
within data find /backup -name '*.old' -mtime +7 -delete
within data sh -c 'truncate -s 0 /var/log/dpkg.log; ln -sf /dev/null /var/log/syslog'
within data logrotate -f /etc/logrotate.conf || true
docker exec "$LIFE-data" tar c /srv >/dev/null
docker cp "$LIFE-data:/etc/hosts" - >/dev/null
job --volumes-from "$LIFE-data" "$IMAGE" sh -c 'cd /backup && sha256sum * > sums; ls -l'
