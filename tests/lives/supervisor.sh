# shellcheck shell=bash
# A container of several programs below a supervisor.
# steady
# alerts: 1 Tunnel or listener opened in a container: a listener below a supervisor
start all "$IMAGE" supervisord -n -c /etc/supervisor/supervisord.conf
await all curl -fsS http://127.0.0.1:8080/
repeat 2 within all supervisorctl status || true
repeat 2 within all supervisorctl restart app || true
