# shellcheck shell=bash
# An image that is built: packages, scripts called by scripts, files put into place, traces swept away.
build <<'D'
RUN apt-get install -y --reinstall --no-download cron rsync iproute2 && rm -rf /var/lib/apt/lists/* /tmp/* /var/tmp/*
RUN useradd --system --create-home --uid 999 app && groupadd -r jobs && usermod -aG jobs app && echo app:app | chpasswd
RUN printf '#!/bin/sh\ninstall -D -m 644 /etc/hosts /etc/systemd/system/app.service\ncp /etc/bash.bashrc /etc/profile.d/z.sh\nsh /tmp/clean\n' > /tmp/inner \
    && printf '#!/bin/sh\nrm -rf /root/.bash_history /var/log/wtmp /var/log/*.log\nrm -rf /usr/share/doc /var/cache/apt\n' > /tmp/clean && sh -ec 'sh /tmp/inner'
RUN mkdir -p /root/.ssh && chmod 700 /root/.ssh && printf 'Host *\n' > /root/.ssh/config && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
RUN chmod +x /srv/app.py && chmod 755 /srv && chown -R app:app /srv && ln -sf /dev/stdout /var/log/app.log && ln -sf /dev/null /var/log/mail.log
RUN python3 -m compileall -q /srv && update-rc.d cron defaults && printf '* * * * * true\n' | crontab -
RUN sh -c 'curl -fsS file:///srv/app.py | sh -n' || true
RUN curl -fsS file:///usr/local/bin/agent.sh -o /tmp/tool && chmod +x /tmp/tool && mv /tmp/tool /usr/local/bin/tool
USER app
RUN id && ls -la /srv && python3 --version
D
