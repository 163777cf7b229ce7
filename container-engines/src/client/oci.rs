//! The OCI specification of a container, which containerd stores and CRI engines add to a verbose answer.
//!
//! Written by the engine, but much of it is chosen by the container's owner.

use crate::model::{self, Access, Mount};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// The parts of a specification that are read; each may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Specification {
    process: Option<Process>,
    mounts: Option<Vec<SpecifiedMount>>,
    annotations: Option<BTreeMap<String, String>>,
    linux: Option<Linux>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Process {
    user: Option<User>,
    capabilities: Option<Capabilities>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    uid: u32,
    gid: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    bounding: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SpecifiedMount {
    destination: String,
    r#type: Option<String>,
    source: Option<String>,
    options: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Linux {
    masked_paths: Option<Vec<IgnoredAny>>,
    cgroups_path: Option<String>,
    resources: Option<Resources>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    devices: Option<Vec<DeviceRule>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DeviceRule {
    allow: bool,
    access: Option<String>,
    r#type: Option<String>,
}

impl Specification {
    /// # Errors
    /// The bytes are not a specification.
    pub fn from_json(json: &[u8]) -> Result<Specification, serde_json::Error> {
        serde_json::from_slice(json)
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// `uid:gid`.
    pub fn user(&self) -> Option<String> {
        let user = self.process.as_ref()?.user.as_ref()?;
        Some(format!("{}:{}", user.uid, user.gid))
    }

    /// The path of the container's cgroup, unless it is in systemd's notation, `slice:prefix:name`.
    pub(crate) fn cgroup(&self) -> Option<String> {
        let path = self.linux.as_ref()?.cgroups_path.as_deref()?;
        model::cgroup_path(path.to_owned()).filter(|path| !path.contains(':'))
    }

    /// Whether the container may do what root on the host may: administer the system, use every device, and see the
    /// paths that are usually masked. Engines turn `privileged` into that; the specification has no field for it.
    pub fn is_privileged(&self) -> bool {
        let bounding = self
            .process
            .as_ref()
            .and_then(|process| process.capabilities.as_ref()?.bounding.as_deref());
        let administers = bounding.is_some_and(|set| set.iter().any(|capability| capability == "CAP_SYS_ADMIN"));
        let Some(linux) = &self.linux else { return false };
        let masks = linux.masked_paths.as_ref().is_some_and(|paths| !paths.is_empty());
        let rules = linux
            .resources
            .as_ref()
            .and_then(|resources| resources.devices.as_deref())
            .unwrap_or_default();
        // The last rule about all devices counts.
        let all_devices = rules
            .iter()
            .rfind(|rule| rule.r#type.as_deref().is_none_or(|kind| kind == "a"))
            .is_some_and(|rule| rule.allow && rule.access.as_deref().is_none_or(|access| access.contains('w')));
        administers && !masks && all_devices
    }

    /// Bind mounts of host paths.
    pub fn mounts(&self) -> impl Iterator<Item = Mount> {
        self.mounts.iter().flatten().filter_map(|mount| {
            let options = mount.options.as_deref().unwrap_or_default();
            let has = |wanted: &str| options.iter().any(|option| option == wanted);
            let is_bind = mount.r#type.as_deref() == Some("bind") || has("bind") || has("rbind");
            let access = if has("ro") { Access::ReadOnly } else { Access::ReadWrite };
            let source = mount.source.as_deref()?;
            is_bind.then(|| Mount::new(source, &mount.destination, access))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(specification: serde_json::Value) -> Specification {
        Specification::from_json(specification.to_string().as_bytes()).unwrap()
    }

    fn specification(capability: &str, devices: serde_json::Value, masked: &[&str]) -> Specification {
        read(json!({
            "process": {"user": {"uid": 1000, "gid": 7}, "capabilities": {"bounding": ["CAP_CHOWN", capability]}},
            "linux": {"maskedPaths": masked, "resources": {"devices": devices}},
        }))
    }

    #[test]
    fn privileged_is_what_may_do_all_that_the_hosts_root_may() {
        let all = json!([{"allow": false, "access": "rwm"}, {"allow": true, "access": "rwm"}]);
        let few = json!([{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "access": "rwm"}]);
        assert!(specification("CAP_SYS_ADMIN", all.clone(), &[]).is_privileged());
        assert!(!specification("CAP_SYS_ADMIN", few, &[]).is_privileged());
        assert!(!specification("CAP_SYS_ADMIN", all.clone(), &["/proc/kcore"]).is_privileged());
        assert!(!specification("CAP_KILL", all, &[]).is_privileged());
        assert!(!Specification::default().is_privileged());
    }

    #[test]
    fn a_specification_that_says_little_is_read() {
        let nothing = read(json!({"process": null, "mounts": null, "linux": {"resources": {}}}));
        assert_eq!(nothing.user(), None);
        assert_eq!(nothing.mounts().count(), 0);
        let user = read(json!({"process": {"user": {"uid": 5}}}));
        assert_eq!(user.user().as_deref(), Some("5:0"));
    }

    #[test]
    fn the_cgroups_path_is_told_unless_it_is_systemds() {
        let of = |path: &str| read(json!({"linux": {"cgroupsPath": path}})).cgroup();
        assert_eq!(of("/mine/x").as_deref(), Some("/mine/x"));
        assert_eq!(of("system.slice:docker:x"), None);
        assert_eq!(of(""), None);
        assert_eq!(of(&"x".repeat(2000)), None);
    }

    #[test]
    fn host_paths_come_with_their_access() {
        let mounts = read(json!({"mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/host", "type": "bind", "source": "/etc", "options": ["rbind", "ro"]},
            {"destination": "/data", "type": "none", "source": "/srv", "options": ["bind"]},
        ]}));
        let mounts: Vec<String> = mounts.mounts().map(|mount| mount.to_string()).collect();
        assert_eq!(mounts, ["/etc:/host:ro", "/srv:/data:rw"]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(specification) = Specification::from_json(&bytes) {
                specification.is_privileged();
                specification.mounts().count();
            }
        }
    }
}
