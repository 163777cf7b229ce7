//! What the facts mean for the sensor.

use std::io::ErrorKind;

use super::check::{Check, CheckStatus};
use super::facts::{Cgroups, HostFacts};
use crate::config::Config;
use crate::kernel::{BTF_PATH, Resolved};
use crate::process::CgroupView;

/// The oldest kernel whose tracepoints, ring buffer and type information the sensor can use.
const OLDEST_KERNEL: (u32, u32) = (5, 10);
/// From here on the kernel counts BPF memory by cgroup and not by `RLIMIT_MEMLOCK`.
const KERNEL_WITHOUT_MEMLOCK: (u32, u32) = (5, 11);
/// The state directory should have room for this much.
const STATE_BYTES: u64 = 64 * 1024 * 1024;

// Numbers of linux/capability.h.
const CAP_DAC_READ_SEARCH: u32 = 2;
const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_SYS_RESOURCE: u32 = 24;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

pub(crate) fn judge(facts: &HostFacts, config: &Config) -> Vec<Check> {
    let mut checks = vec![kernel(facts), type_information(facts), privileges(facts)];
    checks.extend(sight(facts));
    checks.extend(locked_memory(facts));
    checks.push(namespaces(facts));
    checks.extend(lockdown(facts));
    checks.push(cgroups(facts));
    checks.push(state_directory(facts, config));
    checks
}

pub(crate) fn ok(name: &'static str, found: impl Into<String>) -> Check {
    Check {
        name,
        status: CheckStatus::Ok,
        found: found.into(),
        remedy: None,
    }
}

pub(crate) fn warn(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Check {
    Check {
        name,
        status: CheckStatus::Warn,
        found: found.into(),
        remedy: Some(remedy.into()),
    }
}

fn fail(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Check {
    Check {
        name,
        status: CheckStatus::Fail,
        found: found.into(),
        remedy: Some(remedy.into()),
    }
}

/// The first two numbers of a release such as `6.1.0-41-cloud-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release
        .split(|character: char| !character.is_ascii_digit())
        .map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn kernel(facts: &HostFacts) -> Check {
    let release = &facts.kernel_release;
    let (major, minor) = OLDEST_KERNEL;
    match version(release) {
        Some(version) if version >= OLDEST_KERNEL => ok("kernel", release),
        Some(_) => fail(
            "kernel",
            format!("{release} is older than {major}.{minor}"),
            format!("boot a kernel from {major}.{minor} on, such as that of Debian 11 or later"),
        ),
        None => warn(
            "kernel",
            format!("`{release}` is not a release that could be compared"),
            format!("make sure that the kernel is {major}.{minor} or later"),
        ),
    }
}

fn type_information(facts: &HostFacts) -> Check {
    match facts.btf {
        Ok(()) => ok("type information", BTF_PATH),
        Err(ErrorKind::NotFound) => fail(
            "type information",
            format!("{BTF_PATH} is missing"),
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, and in a container mount the host's /sys",
        ),
        Err(error) => fail(
            "type information",
            format!("{BTF_PATH} cannot be read: {error}"),
            "run as root, or allow this user to read it",
        ),
    }
}

/// What the kernel lacks of the structures that the sensor reads; checked by `doctor` alone, since loading reports it.
pub(crate) fn kernel_fields(resolved: Option<Resolved>) -> Option<Check> {
    let resolved = resolved?;
    let name = "kernel fields";
    if !resolved.missing.is_empty() {
        return Some(fail(
            name,
            format!("this kernel lacks {}", resolved.missing.join(", ")),
            "use another kernel, and please report this one's version",
        ));
    }
    if resolved.disabled.is_empty() {
        return Some(ok(name, "all that events can tell is there"));
    }
    let disabled: Vec<&str> = resolved.disabled.into_iter().collect();
    Some(warn(
        name,
        format!("events come without {}", disabled.join(", ")),
        "nothing else is affected; another kernel has them",
    ))
}

fn has(facts: &HostFacts, capability: u32) -> bool {
    facts.capabilities.is_some_and(|set| set & (1 << capability) != 0)
}

fn missing<'a>(facts: &HostFacts, wanted: &[(u32, &'a str)]) -> Vec<&'a str> {
    wanted
        .iter()
        .filter(|(capability, _)| !has(facts, *capability))
        .map(|(_, name)| *name)
        .collect()
}

fn privileges(facts: &HostFacts) -> Check {
    let missing = missing(facts, &[(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")]);
    if facts.capabilities.is_none() {
        return fail(
            "privileges",
            "/proc/self/status does not tell the capabilities",
            "mount /proc",
        );
    }
    if missing.is_empty() || has(facts, CAP_SYS_ADMIN) {
        return ok("privileges", "eBPF programs may be loaded");
    }
    fail(
        "privileges",
        format!(
            "{} missing: the kernel will refuse the eBPF programs",
            missing.join(" and ")
        ),
        "run as root, or with CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH; in Kubernetes give the \
         container `capabilities: {add: [BPF, PERFMON, SYS_PTRACE, DAC_READ_SEARCH]}`, and where the runtime is too old \
         to know them `privileged: true`",
    )
}

/// What is only needed to look at processes that are there already.
fn sight(facts: &HostFacts) -> Option<Check> {
    let wanted = [
        (CAP_SYS_PTRACE, "CAP_SYS_PTRACE"),
        (CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"),
    ];
    let missing = missing(facts, &wanted);
    if missing.is_empty() {
        return None;
    }
    Some(warn(
        "sight",
        format!(
            "{} missing: processes from before the start will lack their path and terminal",
            missing.join(" and ")
        ),
        format!(
            "run as root, or give the capability; in Kubernetes `capabilities: {{add: [{}]}}`",
            missing.join(", ").replace("CAP_", "")
        ),
    ))
}

fn locked_memory(facts: &HostFacts) -> Option<Check> {
    let counts_memlock = version(&facts.kernel_release).is_some_and(|version| version < KERNEL_WITHOUT_MEMLOCK);
    if !counts_memlock || has(facts, CAP_SYS_RESOURCE) {
        return None;
    }
    Some(warn(
        "locked memory",
        "CAP_SYS_RESOURCE missing: this kernel counts eBPF memory as locked, and the limit cannot be raised",
        "give the capability, set `ulimit -l unlimited` (LimitMEMLOCK=infinity), or use a kernel from 5.11 on",
    ))
}

fn namespaces(facts: &HostFacts) -> Check {
    if !facts.namespaces.is_host_user {
        return fail(
            "namespaces",
            "this is not the host's user namespace, where alone eBPF programs may be loaded",
            "run on the host, or in a container without user namespaces (`--userns=host`)",
        );
    }
    let offset = facts.namespaces.time_offset;
    if offset != 0 {
        return fail(
            "namespaces",
            format!("this is a time namespace whose clock is {offset} seconds off the host's: so would all times be"),
            "run in the host's time namespace, that is without `unshare --time` or a runtime's `timeOffsets`",
        );
    }
    if !facts.namespaces.is_host_pid {
        return warn(
            "namespaces",
            "this is not the host's pid namespace: of processes from before the start only those in it are seen, and \
             nothing is read of later ones beside what the kernel side tells",
            "run in the host's pid namespace (`--pid=host`; in Kubernetes give the pod `hostPID: true`)",
        );
    }
    match &facts.namespaces.cgroups {
        CgroupView::Root => ok("namespaces", "the host's own"),
        CgroupView::Below(root) => ok(
            "namespaces",
            format!(
                "the host's own but for cgroups, which are seen from `{}`",
                root.display()
            ),
        ),
        CgroupView::Unknown => warn(
            "namespaces",
            "this is a cgroup namespace that cannot be left: containers from before the start are not known until they \
             start another program",
            "run in the host's cgroup namespace (`--cgroupns=host`), or give CAP_SYS_ADMIN or CAP_SYS_PTRACE",
        ),
    }
}

fn lockdown(facts: &HostFacts) -> Option<Check> {
    let modes = facts.lockdown.as_deref()?;
    if modes.contains("[confidentiality]") {
        return Some(fail(
            "lockdown",
            "the kernel is locked down to confidentiality: eBPF programs may not read its memory",
            "boot with lockdown=integrity or less",
        ));
    }
    Some(ok("lockdown", modes.trim_end()))
}

fn cgroups(facts: &HostFacts) -> Check {
    match facts.cgroups {
        Cgroups::OnlyV2 => ok("cgroups", "version 2"),
        Cgroups::Hybrid => ok("cgroups", "version 2 beside version 1"),
        Cgroups::OnlyV1 => ok("cgroups", "version 1; a container is known by its version 1 cgroup"),
        Cgroups::None => warn(
            "cgroups",
            "no cgroup file system is mounted here",
            "if containers run on this host, mount the host's /sys/fs/cgroup",
        ),
    }
}

fn state_directory(facts: &HostFacts, config: &Config) -> Check {
    let path = config.state_directory.display();
    if let Err(error) = facts.state.writable {
        return fail(
            "state directory",
            format!("{path} cannot be written: {}", error.desc()),
            "make it writable, or set `state_directory` to another place; in Kubernetes mount a volume there such as \
             `hostPath: {path: /var/lib/tidewaiter, type: DirectoryOrCreate}`, without `readOnly`",
        );
    }
    match facts.state.free_bytes {
        Some(free) if free < STATE_BYTES => warn(
            "state directory",
            format!("{path} has only {} MiB of room", free / (1024 * 1024)),
            "make room: what is seen for the first time is remembered there",
        ),
        _ => ok("state directory", path.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Namespaces, StateDirectory};
    use super::*;

    fn good() -> HostFacts {
        HostFacts {
            kernel_release: "6.1.0-41-cloud-amd64".to_owned(),
            btf: Ok(()),
            capabilities: Some(0x1ff_ffff_ffff),
            namespaces: Namespaces {
                is_host_user: true,
                is_host_pid: true,
                cgroups: CgroupView::Root,
                time_offset: 0,
            },
            lockdown: Some("[none] integrity confidentiality\n".to_owned()),
            cgroups: Cgroups::OnlyV2,
            state: StateDirectory {
                writable: Ok(()),
                free_bytes: Some(STATE_BYTES),
            },
        }
    }

    /// The names of the checks that are not ok, with what they say.
    fn complaints(change: impl FnOnce(&mut HostFacts)) -> Vec<(&'static str, CheckStatus)> {
        let mut facts = good();
        change(&mut facts);
        let checks = judge(&facts, &Config::default());
        for check in &checks {
            assert_eq!(check.remedy.is_none(), check.status == CheckStatus::Ok, "{check:?}");
        }
        let bad = checks.iter().filter(|check| check.status != CheckStatus::Ok);
        bad.map(|check| (check.name, check.status)).collect()
    }

    fn without(capabilities: &[u32]) -> Option<u64> {
        Some(
            capabilities
                .iter()
                .fold(0x1ff_ffff_ffff, |set, capability| set & !(1 << capability)),
        )
    }

    #[test]
    fn a_good_host_has_no_complaints() {
        assert_eq!(complaints(|_| {}), []);
        assert_eq!(complaints(|facts| facts.lockdown = None), []);
        assert_eq!(complaints(|facts| facts.cgroups = Cgroups::OnlyV1), []);
        let below = CgroupView::Below("/docker/own".into());
        assert_eq!(complaints(|facts| facts.namespaces.cgroups = below), []);
    }

    #[test]
    fn what_the_sensor_cannot_do_without_fails() {
        use CheckStatus::Fail;
        assert_eq!(
            complaints(|facts| facts.kernel_release = "5.9.16".to_owned()),
            [("kernel", Fail)]
        );
        assert_eq!(
            complaints(|facts| facts.btf = Err(ErrorKind::NotFound)),
            [("type information", Fail)]
        );
        assert_eq!(
            complaints(|facts| facts.lockdown = Some("none integrity [confidentiality]".to_owned())),
            [("lockdown", Fail)]
        );
        assert_eq!(
            complaints(|facts| facts.namespaces.is_host_user = false),
            [("namespaces", Fail)]
        );
        assert_eq!(
            complaints(|facts| facts.namespaces.time_offset = -950_400),
            [("namespaces", Fail)]
        );
        assert_eq!(
            complaints(|facts| facts.state.writable = Err(nix::Error::EROFS)),
            [("state directory", Fail)]
        );
    }

    #[test]
    fn what_a_kernel_lacks_is_named() {
        let check = |missing: &[&str], disabled: &[&'static str]| {
            let check = kernel_fields(Some(Resolved {
                layout: sensor_abi::KernelLayout::UNRESOLVED,
                hooks: Vec::new(),
                places: Vec::new(),
                missing: missing.iter().map(|field| (*field).to_owned()).collect(),
                disabled: disabled.iter().copied().collect(),
            }));
            let check = check.unwrap();
            (check.status, check.found)
        };
        assert_eq!(check(&[], &[]).0, CheckStatus::Ok);
        let (status, found) = check(&[], &["namespace ids"]);
        assert_eq!(status, CheckStatus::Warn);
        assert!(found.contains("namespace ids"), "{found}");
        let (status, found) = check(&["inode.i_nlink"], &[]);
        assert_eq!(status, CheckStatus::Fail);
        assert!(found.contains("inode.i_nlink"), "{found}");
    }

    #[test]
    fn what_the_sensor_can_do_without_is_a_warning() {
        use CheckStatus::Warn;
        assert_eq!(complaints(|facts| facts.cgroups = Cgroups::None), [("cgroups", Warn)]);
        assert_eq!(
            complaints(|facts| facts.namespaces.cgroups = CgroupView::Unknown),
            [("namespaces", Warn)]
        );
        assert_eq!(
            complaints(|facts| facts.namespaces.is_host_pid = false),
            [("namespaces", Warn)]
        );
        assert_eq!(
            complaints(|facts| facts.state.free_bytes = Some(1)),
            [("state directory", Warn)]
        );
        assert_eq!(
            complaints(|facts| facts.kernel_release = "custom".to_owned()),
            [("kernel", Warn)]
        );
    }

    #[test]
    fn capabilities_matter_only_where_the_kernel_asks_for_them() {
        use CheckStatus::{Fail, Warn};
        assert_eq!(
            complaints(|facts| facts.capabilities = without(&[CAP_BPF, CAP_PERFMON])),
            []
        );
        assert_eq!(
            complaints(|facts| facts.capabilities = without(&[CAP_BPF, CAP_SYS_ADMIN])),
            [("privileges", Fail)]
        );
        assert_eq!(
            complaints(|facts| facts.capabilities = Some(0)),
            [("privileges", Fail), ("sight", Warn)]
        );
        assert_eq!(
            complaints(|facts| facts.capabilities = without(&[CAP_SYS_RESOURCE])),
            []
        );
        let old = |facts: &mut HostFacts| {
            facts.capabilities = without(&[CAP_SYS_RESOURCE]);
            facts.kernel_release = "5.10.0-36-amd64".to_owned();
        };
        assert_eq!(complaints(old), [("locked memory", Warn)]);
    }

    #[test]
    fn releases_are_compared_by_their_first_two_numbers() {
        for (release, expected) in [
            ("6.1.0-41-cloud-amd64", Some((6, 1))),
            ("5.10", Some((5, 10))),
            ("7.2-rc1", Some((7, 2))),
            ("6", None),
            ("", None),
        ] {
            assert_eq!(version(release), expected);
        }
    }
}
