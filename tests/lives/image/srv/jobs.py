"""A scheduler: hands each job to a shell."""
import subprocess
import time

JOBS = [
    "curl -fsS http://127.0.0.1:8080/app.py -o /tmp/tool && chmod +x /tmp/tool && python3 -c pass",
    "echo done",
    "set -o pipefail; ls -l /srv | sort | tail -1",
    "cd /tmp && tar czf srv.tgz /srv 2>/dev/null",
]
subprocess.Popen(["python3", "-m", "http.server", "8080", "--directory", "/srv"], stderr=subprocess.DEVNULL)
time.sleep(1)
while True:
    for job in JOBS:
        subprocess.run(["bash", "-c", job], stdout=subprocess.DEVNULL)
    time.sleep(1)
