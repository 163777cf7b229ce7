"""An application that has others do a part of its work."""
import http.server
import os
import subprocess


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/work":
            os.system("curl -s -m 2 http://127.0.0.1:8080/hook >/dev/null")
            subprocess.run(["whoami"], stdout=subprocess.DEVNULL)
            subprocess.run("gzip -c /srv/app.py > /tmp/app.gz && ls /tmp | wc -l", shell=True, stdout=subprocess.DEVNULL)
            os.system("rsync -a -e ssh /etc/hosts backup@127.0.0.1:/ 2>/dev/null; true")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
