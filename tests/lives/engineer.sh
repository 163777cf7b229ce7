# shellcheck shell=bash
# A person who looks into a problem at a terminal of a container.
# alerts: 2 Interactive shell opened in a container: a person opened it
# alerts: 2 Program new to interactive sessions in containers: names that nobody used at a terminal before; once a session
start app "$IMAGE" python3 /srv/app.py
await app curl -fsS http://127.0.0.1:8080/
terminal app bash <<'T'
ls -la
ps aux
top -bn1 | head -5
df -h
free -m
cat /etc/os-release
env | sort | head
curl -s localhost:8080
tail -5 /var/log/dpkg.log
grep -r handler /srv | head -3
wc -l /srv/app.py
diff /etc/hosts /etc/hosts
stat /srv
find /srv -name '*.py'
ss -ltnp
ip addr
date
which python3
python3 --version
vim --version | head -1
less /etc/hosts
q
du -sh /srv
exit
T
terminal app sh <<'T'
ls
exit
T
