# shellcheck shell=bash
# Jobs that fetch an installer and run it, as its maker says to.
# alerts: 1 Download made executable in a container: a tool is brought as an intruder would bring it; once a day
# alerts: 1 Download piped into a shell in a container: this is how its maker says to install it
# alerts: 1 Shell fed by a download or a decoder in a container: the same once more, seen by its pipe
job "$IMAGE" sh -c 'python3 -m http.server -d /usr/local/bin 8080 2>/dev/null & until curl -sf http://127.0.0.1:8080/ >/dev/null; do :; done
curl -fsSL http://127.0.0.1:8080/kubectl | sh'
job "$IMAGE" bash -ec 'python3 -m http.server -d /usr/local/bin 8080 2>/dev/null & until curl -sf http://127.0.0.1:8080/ >/dev/null; do :; done
curl -fsSLo /tmp/installer http://127.0.0.1:8080/kubectl
chmod +x /tmp/installer
/tmp/installer --yes'
