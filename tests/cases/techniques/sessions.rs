//! Who types where, and how somebody at a terminal may look as if nobody were there.

use super::Way::{Exec, Terminal, Typed};
use super::rules::{DRIVEN, INSTALLED, REVERSE, SHELL};
use super::{Technique, missed, told};

pub(super) const TECHNIQUES: &[Technique] = &[
    told(
        "installation-at-a-terminal",
        Terminal,
        "apt-get install -y curl",
        &[INSTALLED],
    ),
    told(
        "errors-thrown-away",
        Terminal,
        "apt-get install -y curl 2>/dev/null",
        &[INSTALLED],
    ),
    told(
        "all-output-through-a-pipe",
        Terminal,
        "apt-get install -y curl 2>&1 | cat",
        &[INSTALLED],
    ),
    told(
        "answers-from-a-pipe",
        Terminal,
        "yes | apt-get install curl",
        &[INSTALLED],
    ),
    told(
        "input-from-nowhere",
        Terminal,
        "apt-get install -y curl </dev/null",
        &[INSTALLED],
    ),
    told(
        "all-to-a-file",
        Terminal,
        "apt-get install -y curl </dev/null >/tmp/log 2>&1",
        &[INSTALLED],
    ),
    told(
        "a-session-of-its-own",
        Terminal,
        "setsid --wait apt-get install -y curl",
        &[INSTALLED],
    ),
    told(
        "deaf-to-hangups",
        Terminal,
        "nohup apt-get install -y curl >/dev/null 2>&1",
        &[INSTALLED],
    ),
    told(
        "in-the-background",
        Terminal,
        "apt-get install -y curl & wait",
        &[INSTALLED],
    ),
    told(
        "a-job-of-a-job",
        Terminal,
        "bash -mc 'apt-get install -y curl </dev/null & wait'",
        &[INSTALLED],
    ),
    told(
        "names-from-a-list",
        Terminal,
        "echo curl | xargs apt-get install -y",
        &[INSTALLED],
    ),
    told(
        "no-environment",
        Terminal,
        "env -i -C / /usr/bin/apt-get install -y curl",
        &[INSTALLED],
    ),
    told(
        "a-shell-without-errors",
        Terminal,
        "exec bash -c 'apt-get install -y curl; :' 2>/dev/null",
        &[INSTALLED],
    ),
    told(
        "closed-errors",
        Terminal,
        "perl -e 'close STDERR; system(\"apt-get install -y curl\")'",
        &[INSTALLED],
    ),
    told(
        "a-terminal-of-its-own",
        Exec,
        "script -qec 'apt-get install -y curl' /dev/null </dev/null",
        &[INSTALLED],
    ),
    missed(
        "no-terminal-at-all",
        Exec,
        "apt-get install -y curl",
        &[INSTALLED],
        "a step of a build server looks the same",
    ),
    told(
        "typed-through-a-pipe",
        Typed,
        "apt-get install -y curl",
        &[INSTALLED, DRIVEN],
    ),
    told("a-shell-typed-through-a-pipe", Typed, ":", &[DRIVEN]),
    told(
        "a-shell-behind-a-time-limit",
        Terminal,
        "exec timeout 9 bash --rcfile /dev/null -c :",
        &[SHELL],
    ),
    told("a-shell-behind-env", Terminal, "exec env sh -c :", &[SHELL]),
    told(
        "a-recorded-shell",
        Terminal,
        "exec script -qec \"bash --norc -c :\" /dev/null",
        &[SHELL],
    ),
    told("an-interpreter-as-a-shell", Terminal, "exec timeout 1 perl", &[SHELL]),
    told("another-interpreter-as-a-shell", Terminal, "exec python3.11", &[SHELL]),
    told(
        "an-interpreter-that-asks",
        Terminal,
        "exec perl -de1 </dev/null",
        &[SHELL],
    ),
    told(
        "an-interpreter-that-opens-a-terminal",
        Exec,
        "python3.11 -c 'import pty; pty.spawn(\"/bin/bash\")'",
        &[REVERSE, SHELL],
    ),
    told(
        "a-shell-that-asks-without-a-terminal",
        Exec,
        "bash -i </dev/null",
        &[REVERSE],
    ),
    told(
        "a-login-shell-that-asks-without-a-terminal",
        Exec,
        "bash -il </dev/null",
        &[REVERSE],
    ),
    told(
        "output-alone-through-a-pipe",
        Terminal,
        "apt-get install -y curl | cat",
        &[INSTALLED],
    ),
    told(
        "a-session-that-nobody-waits-for",
        Terminal,
        "setsid apt-get install -y curl; sleep 0.1",
        &[INSTALLED],
    ),
    told(
        "input-by-a-detour",
        Terminal,
        "apt-get install -y curl </proc/self/fd/0 2>/dev/stderr",
        &[INSTALLED],
    ),
    told(
        "a-login-shell-with-its-letters-turned",
        Exec,
        "bash -li </dev/null",
        &[REVERSE],
    ),
    told(
        "a-shell-that-asks-with-letters-apart",
        Exec,
        "sh -i -e </dev/null",
        &[REVERSE],
    ),
    told(
        "a-terminal-taken-over",
        Terminal,
        "exec perl -e '$SIG{HUP} = q(IGNORE); ioctl STDIN, 0x5422, 0; \
         unless (fork) { syscall 112; ioctl STDIN, 0x540E, 0; exec qw(apt-get install -y curl) } wait'",
        &[INSTALLED],
    ),
    told(
        "a-shell-at-a-terminal-of-nobody",
        Exec,
        "perl -e 'open M, q(+<), q(/dev/ptmx); $b = pack q(i), 0; ioctl M, 0x40045431, $b; ioctl M, 0x80045430, $b; \
         open STDIN, q(+<), q(/dev/pts/) . unpack q(i), $b; open STDERR, q(>&STDIN); exec qw(bash --norc)'; :",
        &[SHELL],
    ),
    told(
        "a-shell-at-a-terminal-with-options-alone",
        Exec,
        "perl -e 'open M, q(+<), q(/dev/ptmx); $b = pack q(i), 0; ioctl M, 0x40045431, $b; ioctl M, 0x80045430, $b; \
         open STDIN, q(+<), q(/dev/pts/) . unpack q(i), $b; open STDERR, q(>&STDIN); exec qw(bash -v +o history)'; :",
        &[SHELL],
    ),
];
