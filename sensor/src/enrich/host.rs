//! The description of the host in every event, read once at the start, from the node where the sensor is in a container.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::thread;

use nix::sys::utsname::{UtsName, uname};

use super::node::{NodeRoot, RELEASE_FILES, RootPlace, Whose, first_processes, namespace_of_init};
use crate::process::is_in_first;

const ID_FILES: [&str; 2] = ["etc/machine-id", "var/lib/dbus/machine-id"];
const NAME_FILE: &str = "etc/hostname";
/// A longer file is none of these.
const FILE_LIMIT: u64 = 64 * 1024;
/// A value of a release file, or a name, is cut here.
const VALUE_CHARACTERS: usize = 256;

/// `host.*` of every event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Host {
    pub name: String,
    pub name_origin: NameOrigin,
    /// The content of `/etc/machine-id`, or else of the boot id: rules join events by it.
    pub id: String,
    pub is_machine_id: bool,
    /// Random, new at every boot.
    pub boot_id: String,
    pub architecture: String,
    pub kernel: String,
    /// `NAME`, `ID`, `VERSION_ID` of `/etc/os-release`.
    pub os_name: Option<String>,
    pub os_platform: Option<String>,
    pub os_version: Option<String>,
    /// The Kubernetes cluster, and this node's name in it.
    pub cluster_name: Option<String>,
    pub node_name: Option<String>,
}

/// Where the host's name comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum NameOrigin {
    Configured,
    /// The UTS namespace of the first process, which may be the sensor's.
    #[default]
    Host,
    /// The name of the node in its cluster.
    Node,
    /// The node's `/etc/hostname`.
    File,
    /// The sensor's own UTS namespace, which is a container's.
    Container,
}

/// What the configuration says of names.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostNames {
    pub(crate) host: Option<String>,
    pub(crate) node: Option<String>,
    pub(crate) cluster: Option<String>,
}

impl Host {
    /// Reads the description of this host.
    pub(crate) fn read(node: &NodeRoot, names: HostNames) -> Self {
        let system = uname().ok();
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot_id = boot_id.trim().to_owned();
        let release = node.read_first(&RELEASE_FILES, FILE_LIMIT).unwrap_or_default();
        let machine_id = node
            .read_first(&ID_FILES, FILE_LIMIT)
            .ok()
            .and_then(|text| machine_id(&text));
        let (name, name_origin) = host_name(node, &names, system.as_ref());
        Host {
            name,
            name_origin,
            is_machine_id: machine_id.is_some(),
            id: machine_id.unwrap_or_else(|| boot_id.clone()),
            boot_id,
            architecture: part(system.as_ref(), UtsName::machine),
            kernel: part(system.as_ref(), UtsName::release),
            os_name: release_value(&release, "NAME"),
            os_platform: release_value(&release, "ID"),
            os_version: release_value(&release, "VERSION_ID"),
            cluster_name: names.cluster,
            node_name: names.node,
        }
    }

    /// The part of the boot id that goes into ids of processes and events: 64 random bits.
    pub(crate) fn boot_prefix(&self) -> String {
        self.boot_id
            .chars()
            .filter(|character| *character != '-')
            .take(16)
            .collect()
    }
}

fn part(system: Option<&UtsName>, part: fn(&UtsName) -> &std::ffi::OsStr) -> String {
    system
        .map(|system| part(system).to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The host's name, and not that of a container that the sensor is in.
fn host_name(node: &NodeRoot, names: &HostNames, own: Option<&UtsName>) -> (String, NameOrigin) {
    if let Some(name) = &names.host {
        return (name.clone(), NameOrigin::Configured);
    }
    let own_name = || part(own, UtsName::nodename);
    let is_hosts = match node.place() {
        RootPlace::Init => namespace_of_init("uts") == Some(Whose::Own),
        RootPlace::Own | RootPlace::Configured(_) | RootPlace::Nowhere => is_in_first("uts") != Some(false),
    };
    if is_hosts {
        return (own_name(), NameOrigin::Host);
    }
    let of_init = || {
        let is_nodes = *node.place() == RootPlace::Init || is_in_first("pid") == Some(true);
        is_nodes.then(name_of_init)?
    };
    if let Some(name) = of_init() {
        return (name, NameOrigin::Host);
    }
    if let Some(name) = &names.node {
        return (name.clone(), NameOrigin::Node);
    }
    let text = node.read_first(&[NAME_FILE], FILE_LIMIT).unwrap_or_default();
    match text.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(name) => (cut(name), NameOrigin::File),
        None => (own_name(), NameOrigin::Container),
    }
}

/// The name in the first process's UTS namespace, which another thread goes to for it. That takes `CAP_SYS_ADMIN`.
fn name_of_init() -> Option<String> {
    let namespace = first_processes()
        .iter()
        .find_map(|process| File::open(format!("/proc/{process}/ns/uts")).ok())?;
    let asking = thread::Builder::new().spawn(move || {
        // SAFETY: a system call on a descriptor that is open; it changes this thread's own view alone.
        let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWUTS) };
        (result == 0).then(|| part(uname().ok().as_ref(), UtsName::nodename))
    });
    asking.ok()?.join().ok()?.filter(|name| !name.is_empty())
}

/// 32 hexadecimal digits; while a system is being set up, the file may hold a word.
fn machine_id(text: &str) -> Option<String> {
    let id = text.trim();
    (id.len() == 32 && id.chars().all(|digit| digit.is_ascii_hexdigit())).then(|| id.to_owned())
}

fn release_value(release: &str, name: &str) -> Option<String> {
    release.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key == name).then(|| cut(value.trim().trim_matches(['"', '\''])))
    })
}

fn cut(value: &str) -> String {
    value.chars().take(VALUE_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_release_file_lose_their_quotes() {
        let release = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nID=debian\n";
        assert_eq!(release_value(release, "NAME").as_deref(), Some("Debian GNU/Linux"));
        assert_eq!(release_value(release, "VERSION_ID").as_deref(), Some("12"));
        assert_eq!(release_value(release, "ID").as_deref(), Some("debian"));
        assert_eq!(release_value(release, "VARIANT"), None);
    }

    #[test]
    fn a_mounted_root_describes_the_node() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        let write = |file: &str, text: &str| fs::write(folder.path().join("etc").join(file), text).unwrap();
        let read = |names| Host::read(&NodeRoot::find(Some(folder.path())), names);
        let host = read(HostNames::default());
        assert_eq!(
            (&host.id, host.is_machine_id, host.os_name.is_none()),
            (&host.boot_id, false, true)
        );
        write("machine-id", "uninitialized\n");
        assert!(!read(HostNames::default()).is_machine_id);
        write("machine-id", "0123456789abcdef0123456789abcdef\n");
        write("os-release", "NAME=\"Some OS\"\nID=some\nVERSION_ID=3\n");
        let host = read(HostNames::default());
        assert_eq!(
            (host.id.as_str(), host.is_machine_id),
            ("0123456789abcdef0123456789abcdef", true)
        );
        assert_eq!(host.os_platform.as_deref(), Some("some"));
        let named = HostNames {
            host: Some("by hand".to_owned()),
            ..HostNames::default()
        };
        let host = read(named);
        assert_eq!(
            (host.name.as_str(), host.name_origin),
            ("by hand", NameOrigin::Configured)
        );
    }
}
