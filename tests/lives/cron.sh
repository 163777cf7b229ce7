# shellcheck shell=bash
# Jobs by the clock: cron in front, a job each minute and those of the night by run-parts.
# steady
start cron "$IMAGE" sh -c 'printf "* * * * * root /usr/bin/find /tmp -mtime +7 -delete; echo done >> /tmp/log\n" > /etc/cron.d/clean; printenv | grep -v no_proxy > /etc/environment; exec cron -f'
within cron sh -c 'run-parts --regex "^(dpkg|logrotate)$" /etc/cron.daily' || true
start tini --init "$IMAGE" sh -c 'printf "* * * * * true\n" > /tmp/tab; crontab /tmp/tab; printf "%s true\n" "* * * * *" | crontab -; exec cron -f'
await cron test -s /tmp/log
