//! How programs are named.

/// Multi-call programs: what they do depends on the name in their first argument.
const MULTI_CALL: [&str; 3] = ["busybox", "toybox", "coreutils"];

/// The name of what runs. It is the base name of the resolved executable, which a symlink cannot
/// change, with two exceptions: a script is named after itself and not after its interpreter (as
/// the kernel names it), and a multi-call program after the applet that its first argument chooses.
pub(super) fn program_name<'a>(
    executable: &'a str,
    script: Option<&'a str>,
    first_argument: Option<&'a str>,
) -> &'a str {
    if let Some(script) = script {
        return base_name(script);
    }
    let name = base_name(executable);
    match first_argument {
        Some(argument) if is_multi_call(executable) => match base_name(argument.trim_start_matches('-')) {
            "" => name,
            applet => applet,
        },
        _ => name,
    }
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

    #[test]
    fn a_program_is_named_by_what_runs_and_not_by_what_was_typed() {
        assert_eq!(program_name("/usr/bin/curl", None, Some("innocent")), "curl");
        assert_eq!(
            program_name("/usr/bin/python3.11", Some("/usr/bin/dnf"), Some("python3")),
            "dnf"
        );
        assert_eq!(program_name("/bin/busybox", None, Some("/bin/wget")), "wget");
        assert_eq!(program_name("/bin/busybox", None, Some("-sh")), "sh");
        assert_eq!(program_name("/bin/busybox", None, Some("busybox")), "busybox");
        assert_eq!(program_name("/bin/busybox", None, Some("-")), "busybox");
        assert_eq!(program_name("/bin/busybox", None, None), "busybox");
        assert_eq!(program_name("memfd:x", None, Some("a")), "memfd:x");
    }
}
