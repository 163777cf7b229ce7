//! What the agent knows of every process on the node, kept up to date by events.
//!
//! Stands between the decoder and the record: an event changes the [`ProcessTable`], and the
//! record is made from the table. Processes are named by [`ProcessKey`], which outlives pid reuse.

mod arguments;
mod capabilities;
mod entry;
mod executable;
mod scan;
mod table;

use std::sync::Arc;

use sensor_abi::{Descriptor, Namespaces};

use crate::identity::{ContainerIdentity, Membership};

pub use arguments::{HeldBytes, ProcessArguments, allowed_variables};
pub use capabilities::{FIRST_USER_NAMESPACE, capability_names, given_by_file};
pub use entry::{Entry, EntryKind};
pub use executable::ExecutableFile;
pub use scan::{ScanReport, cgroup_path, scan};
pub use table::{CgroupLookup, ProcessTable};

/// Clock ticks in a second as `/proc` counts them (`USER_HZ`, 100 on every architecture).
const TICKS_PER_SECOND: u64 = 100;
const NANOSECONDS_PER_TICK: u64 = 1_000_000_000 / TICKS_PER_SECOND;

/// A process of this boot: its thread group id and when it was created. The time is in the clock
/// ticks of `/proc`, so that events and `/proc` name the same process alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    pub pid: u32,
    pub start_ticks: u64,
}

impl ProcessKey {
    /// The key of a process that was created `start_ns` nanoseconds after boot.
    pub fn new(pid: u32, start_ns: u64) -> Self {
        let start_ticks = start_ns / NANOSECONDS_PER_TICK;
        ProcessKey { pid, start_ticks }
    }
}

/// A program as a process runs it; shared by a process and those that it forked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// `process.executable`, see [`crate::decode::Exec::executable`].
    pub executable: String,
    /// The path that the kernel was given: a symlink, a relative path, a script. Empty for a process
    /// that was there before the sensor.
    pub requested_path: String,
    /// Whether that is a script, which `executable` interprets.
    pub is_script: bool,
    pub file: Option<ExecutableFile>,
    /// Capabilities that the process has because the file has them.
    pub file_capabilities: u64,
    /// `process.name`, see [`program_name`].
    pub name: String,
    pub arguments: ProcessArguments,
    /// Variables of the environment that events may tell.
    pub environment: Vec<String>,
    /// Whether the environment was looked through to its end; `None` where it is not read.
    pub environment_complete: Option<bool>,
    pub working_directory: String,
}

impl Image {
    /// `process.args`.
    pub fn args(&self) -> &[String] {
        &self.arguments.texts
    }

    /// The script that is interpreted, as it was given to the kernel.
    pub fn script(&self) -> Option<&str> {
        self.is_script.then_some(self.requested_path.as_str())
    }

    /// Which of its programs a multi-call program is.
    pub fn applet(&self) -> Option<&str> {
        let name = base_name(&self.executable);
        let is_applet = !self.is_script && MULTI_CALL.contains(&name) && self.name != name;
        is_applet.then_some(self.name.as_str())
    }
}

/// User and group ids, in the host's user namespace, and capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub effective_uid: u32,
    pub effective_gid: u32,
    pub saved_uid: u32,
    pub saved_gid: u32,
    /// Capabilities, a bit for each by its number.
    pub permitted: u64,
    pub effective: u64,
}

/// Supplementary groups, as of the last exec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    pub ids: Arc<[u32]>,
    /// How many there are; more than `ids` holds if they were too many.
    pub total: u32,
}

/// One process.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    pub key: ProcessKey,
    /// When it was created, nanoseconds since boot; whole ticks where it is known from `/proc`.
    pub start_ns: u64,
    /// Thread group id in its own pid namespace.
    pub namespace_pid: u32,
    pub parent: ProcessKey,
    pub group_leader: Option<ProcessKey>,
    pub session_leader: Option<ProcessKey>,
    /// Kernel `dev_t` of the controlling terminal, 0 if none.
    pub terminal: u32,
    /// Whether the controlling terminal is open on descriptors 0 and 2.
    pub interactive: bool,
    pub credentials: Credentials,
    pub groups: Groups,
    /// Id of the cgroup in the v2 tree; 0 where it is not known.
    pub cgroup_id: u64,
    pub container: Option<Arc<ContainerIdentity>>,
    pub membership: Membership,
    pub namespaces: Namespaces,
    pub image: Arc<Image>,
    pub entry: Option<Entry>,
    /// `wait` status, once it has ended.
    pub exit: Option<u32>,
}

impl Process {
    /// Whether it leads its session.
    pub fn is_session_leader(&self) -> bool {
        self.session_leader == Some(self.key)
    }

    /// Whether a container engine started it: a container's first process, or one that was added.
    pub fn is_container_entry(&self) -> bool {
        let entry = self.entry;
        entry.is_some_and(|entry| entry.kind == EntryKind::Container && entry.leader == self.key)
    }

    /// Whether it is in a container without running a program that was started there: an engine's
    /// helper that sets the container up, or one that was put into its cgroup.
    pub fn is_runtime_helper(&self) -> bool {
        self.container.is_some() && self.container != self.membership.program_started_in
    }
}

/// Programs that are many: what one does depends on the name in its first argument.
const MULTI_CALL: [&str; 3] = ["busybox", "toybox", "coreutils"];

/// The name of what runs. It is the base name of the resolved executable, which a symlink cannot
/// change, with two exceptions: a script is named after itself and not after its interpreter (as
/// the kernel names it), and a multi-call program after the applet that its first argument chooses.
pub fn program_name<'a>(executable: &'a str, script: Option<&'a str>, first_argument: Option<&'a str>) -> &'a str {
    if let Some(script) = script {
        return base_name(script);
    }
    let name = base_name(executable);
    match first_argument {
        Some(argument) if MULTI_CALL.contains(&name) => match base_name(argument.trim_start_matches('-')) {
            "" => name,
            applet => applet,
        },
        _ => name,
    }
}

/// What follows the last slash.
pub fn base_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Splits the bytes of arguments, each ended by a zero byte.
pub fn split_arguments(bytes: &[u8]) -> Vec<String> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|byte| *byte == 0).map(crate::decode::text).collect()
}

/// A kernel `dev_t`'s major and minor number.
pub fn device_numbers(device: u32) -> (u32, u32) {
    (device >> 20, device & 0xf_ffff)
}

const FILE_TYPE_MASK: u32 = 0o170_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
/// `/dev/tty`: by definition the controlling terminal of the process that opens it.
const DEV_TTY: u32 = 5 << 20;

/// `process.interactive` as ECS defines it: the controlling terminal is the character device that
/// is open on descriptors 0 and 2. `/dev/tty` counts, being another name of it.
pub fn is_interactive(terminal: u32, descriptors: &[Descriptor; 3]) -> bool {
    terminal != 0
        && [&descriptors[0], &descriptors[2]].iter().all(|descriptor| {
            descriptor.mode & FILE_TYPE_MASK == CHARACTER_DEVICE
                && (descriptor.device == terminal || descriptor.device == DEV_TTY)
        })
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

    #[test]
    fn arguments_are_split_at_zero_bytes_and_empty_ones_are_kept() {
        assert_eq!(split_arguments(b""), Vec::<String>::new());
        assert_eq!(split_arguments(b"\0"), [""]);
        assert_eq!(split_arguments(b"a\0\0b\0"), ["a", "", "b"]);
        assert_eq!(split_arguments(b"a\0cut"), ["a", "cut"]);
    }

    #[test]
    fn interactive_needs_the_controlling_terminal_on_input_and_error() {
        let tty = 136 << 20 | 3;
        let terminal = |device| Descriptor {
            mode: CHARACTER_DEVICE | 0o620,
            device,
        };
        let pipe = Descriptor {
            mode: 0o010_600,
            device: 0,
        };
        let null = terminal(1 << 20 | 3);
        let on = terminal(tty);
        assert!(is_interactive(tty, &[on, on, on]));
        assert!(is_interactive(tty, &[on, pipe, on]), "output may go elsewhere");
        assert!(is_interactive(tty, &[terminal(DEV_TTY), pipe, on]));
        assert!(!is_interactive(tty, &[null, on, on]));
        assert!(!is_interactive(tty, &[on, on, pipe]));
        assert!(!is_interactive(0, &[on, on, on]), "no controlling terminal");
        assert!(!is_interactive(136 << 20 | 4, &[on, on, on]), "another terminal");
    }
}
