# shellcheck shell=bash
# A job of a pipeline that installs what it needs, with a terminal at which nobody is, and without.
# alerts: 1 Program new to interactive sessions in containers: apt gives dpkg a terminal of its own, at which nobody is; what works below it is new
for terminal in --tty=true --tty=false; do
    job "$terminal" --env DEBIAN_FRONTEND=noninteractive "$IMAGE" bash -ec '
        apt-get install -y --reinstall --no-download iproute2 rsync
        apt-get install -y --reinstall --no-download less || dpkg --configure -a
        cp /srv/app.py /usr/local/bin/app; app_version=$(python3 -c "print(1)"); echo "$app_version"
        date; id; git --version || true'
done
