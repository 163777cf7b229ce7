//! What the host says of itself: read, not yet judged.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::thread;

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};

use crate::config::Config;
use crate::kernel::BTF_PATH;
use crate::process::{CgroupView, is_in_first};

const LOCKDOWN_PATH: &str = "/sys/kernel/security/lockdown";

#[derive(Clone, Debug)]
pub(crate) struct HostFacts {
    /// As `uname -r` says.
    pub(crate) kernel_release: String,
    pub(crate) btf: Result<(), io::ErrorKind>,
    /// The effective set as a bit mask; `None` if `/proc` does not have it.
    pub(crate) capabilities: Option<u64>,
    pub(crate) namespaces: Namespaces,
    /// The content of the lockdown file, or what the kernel was started with; `None` where there is neither.
    pub(crate) lockdown: Option<String>,
    pub(crate) cgroups: Cgroups,
    pub(crate) state: StateDirectory,
}

/// Whether this process is in the host's own namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespaces {
    pub(crate) is_host_user: bool,
    pub(crate) is_host_pid: bool,
    /// After an attempt to go to the host's.
    pub(crate) cgroups: CgroupView,
    /// The seconds between this namespace's time since boot and the host's.
    pub(crate) time_offset: i64,
}

/// Which cgroup hierarchies are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cgroups {
    None,
    OnlyV1,
    Hybrid,
    OnlyV2,
}

#[derive(Clone, Debug)]
pub(crate) struct StateDirectory {
    /// Whether it can be written, or made if it is missing.
    pub(crate) writable: Result<(), nix::Error>,
    pub(crate) free_bytes: Option<u64>,
}

impl HostFacts {
    pub(crate) fn gather(config: &Config) -> Self {
        let kernel_release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Self {
            kernel_release: kernel_release.trim_end().to_owned(),
            btf: File::open(BTF_PATH).map(drop).map_err(|error| error.kind()),
            capabilities: effective_capabilities(&status),
            namespaces: Namespaces {
                is_host_user: is_in_first("user") == Some(true),
                is_host_pid: is_in_first("pid") == Some(true),
                cgroups: thread::scope(|scope| scope.spawn(CgroupView::enter).join()).unwrap_or(CgroupView::Unknown),
                time_offset: match is_in_first("time") {
                    Some(false) => time_offset(&fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default()),
                    Some(true) | None => 0,
                },
            },
            // The file is not in every container.
            lockdown: fs::read_to_string(LOCKDOWN_PATH)
                .ok()
                .or_else(|| lockdown_asked_for(&fs::read_to_string("/proc/cmdline").unwrap_or_default())),
            cgroups: mounted_cgroups(&mounts),
            state: state_directory(&config.state_directory),
        }
    }
}

fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// What the kernel's command line asks for, as the lockdown file would show it.
fn lockdown_asked_for(command_line: &str) -> Option<String> {
    // The last one counts.
    let mut words = command_line.split_whitespace().rev();
    let mode = words.find_map(|word| word.strip_prefix("lockdown="))?;
    Some(format!("[{mode}]"))
}

/// The seconds in the line `boottime SECONDS NANOSECONDS` of a time namespace; where there are nanoseconds only, one.
fn time_offset(offsets: &str) -> i64 {
    let line = offsets.lines().find_map(|line| line.strip_prefix("boottime"));
    let mut numbers = line
        .unwrap_or_default()
        .split_whitespace()
        .map(|number| number.parse().unwrap_or(0));
    match (numbers.next(), numbers.next()) {
        (Some(0), Some(nanoseconds)) if nanoseconds != 0_i64 => 1,
        (seconds, _) => seconds.unwrap_or(0),
    }
}

fn mounted_cgroups(mounts: &str) -> Cgroups {
    // The file system's type is the first word after the separator.
    let is_mounted = |kind: &str| {
        let mut types = mounts
            .lines()
            .filter_map(|line| line.split_once(" - ")?.1.split(' ').next());
        types.any(|mounted| mounted == kind)
    };
    match (is_mounted("cgroup"), is_mounted("cgroup2")) {
        (false, false) => Cgroups::None,
        (true, false) => Cgroups::OnlyV1,
        (true, true) => Cgroups::Hybrid,
        (false, true) => Cgroups::OnlyV2,
    }
}

fn state_directory(path: &Path) -> StateDirectory {
    // A missing directory will be made in the nearest one that exists.
    let existing = path
        .ancestors()
        .find(|ancestor| ancestor.exists())
        .unwrap_or(Path::new("/"));
    let writable = match existing.is_dir() {
        true => access(existing, AccessFlags::W_OK | AccessFlags::X_OK),
        false => Err(nix::Error::ENOTDIR),
    };
    let free_bytes = statvfs(existing)
        .ok()
        .map(|disk| disk.blocks_available() * disk.fragment_size());
    StateDirectory { writable, free_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_capabilities_are_read() {
        assert_eq!(
            effective_capabilities("Name:\tx\nCapPrm:\tff\nCapEff:\t000001ffffffffff\n"),
            Some(0x1ff_ffff_ffff)
        );
        assert_eq!(effective_capabilities(""), None);
    }

    #[test]
    fn lockdown_is_what_the_kernel_was_started_with() {
        let asked = |line: &str| lockdown_asked_for(line);
        assert_eq!(
            asked("quiet lockdown=confidentiality\n").as_deref(),
            Some("[confidentiality]")
        );
        assert_eq!(asked("root=/dev/vda lsm=lockdown"), None);
    }

    #[test]
    fn cgroups_are_told_apart_by_what_is_mounted() {
        let v1 = "33 32 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let v2 = "34 32 0:30 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n";
        let other = "22 1 0:21 / /proc rw - proc proc rw\n";
        for (mounts, expected) in [
            (other.to_owned(), Cgroups::None),
            (v1.to_owned(), Cgroups::OnlyV1),
            (v1.to_owned() + v2, Cgroups::Hybrid),
            (v2.to_owned() + other, Cgroups::OnlyV2),
        ] {
            assert_eq!(mounted_cgroups(&mounts), expected);
        }
    }

    #[test]
    fn the_offset_of_a_time_namespace_is_read() {
        assert_eq!(
            time_offset("monotonic           7         0\nboottime            0         0\n"),
            0
        );
        assert_eq!(time_offset("monotonic 0 0\nboottime  -950400         5\n"), -950_400);
        assert_eq!(time_offset("boottime 0 5"), 1);
        assert_eq!(time_offset(""), 0);
    }

    #[test]
    fn a_missing_state_directory_is_judged_by_where_it_would_be_made() {
        let directory = tempfile::tempdir().unwrap();
        assert!(state_directory(&directory.path().join("a/b")).writable.is_ok());
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(state_directory(&file.join("below")).writable, Err(nix::Error::ENOTDIR));
    }
}
