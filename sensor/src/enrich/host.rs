//! The description of the host in every event, read once at the start.

use std::fs;

use nix::sys::utsname::uname;

/// `host.*` of every event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Host {
    pub name: String,
    /// The content of `/etc/machine-id`, or else of the boot id.
    pub id: String,
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

impl Host {
    /// Reads the description of this host; `name` overrides its name.
    pub(crate) fn read(name: Option<&str>) -> Self {
        let system = uname().ok();
        let system_name = |part: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
            system
                .as_ref()
                .map(|system| part(system).to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        let boot_id = read_line("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        Host {
            name: name.map_or_else(|| system_name(|system| system.nodename()), str::to_owned),
            id: read_line("/etc/machine-id").unwrap_or_else(|| boot_id.clone()),
            boot_id,
            architecture: system_name(|system| system.machine()),
            kernel: system_name(|system| system.release()),
            os_name: release_value(&release, "NAME"),
            os_platform: release_value(&release, "ID"),
            os_version: release_value(&release, "VERSION_ID"),
            cluster_name: None,
            node_name: None,
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

fn read_line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

fn release_value(release: &str, name: &str) -> Option<String> {
    release.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key == name).then(|| value.trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_release_file_lose_their_quotes() {
        let release = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n";
        assert_eq!(release_value(release, "NAME").as_deref(), Some("Debian GNU/Linux"));
        assert_eq!(release_value(release, "ID").as_deref(), Some("debian"));
        assert_eq!(release_value(release, "VARIANT"), None);
    }
}
