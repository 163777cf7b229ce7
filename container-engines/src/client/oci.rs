//! The OCI specification of a container, which containerd stores and CRI engines add to a verbose answer.
//!
//! Written by the engine, but much of it is chosen by the container's owner. Each member is looked at for itself, so an
//! odd one costs itself.

use super::json::{NotJson, Reader, Shape};
use crate::model::{self, Access, Mount};
use serde_json::Value;

/// The parts of a specification that are read; each may be missing.
#[derive(Debug, Default)]
pub struct Specification(Value);

/// The first value in a text, cut to size.
pub(crate) fn value_of(json: &[u8]) -> Result<Value, NotJson> {
    let mut first = None;
    Reader::new(Shape::Values).push(json, &mut |read| first = first.take().or(Some(read.value)))?;
    first.ok_or(NotJson)
}

impl From<Value> for Specification {
    fn from(value: Value) -> Specification {
        Specification(value)
    }
}

impl Specification {
    /// `None` if the bytes are not a specification.
    pub fn from_json(json: &[u8]) -> Option<Specification> {
        value_of(json).ok().map(Specification)
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.0.get("annotations")?.get(key)?.as_str()
    }

    /// `uid:gid`.
    pub fn user(&self) -> Option<String> {
        let user = self.0.pointer("/process/user").filter(|user| user.is_object())?;
        let id = |key| user.get(key).and_then(Value::as_u64).unwrap_or_default();
        Some(format!("{}:{}", id("uid"), id("gid")))
    }

    /// The path of the container's cgroup, unless it is in systemd's notation, `slice:prefix:name`.
    pub(crate) fn cgroup(&self) -> Option<String> {
        let path = self.0.pointer("/linux/cgroupsPath")?.as_str()?;
        model::cgroup_path(path.to_owned()).filter(|path| !path.contains(':'))
    }

    /// Whether the container may do what root on the host may: administer the system, use every device, and see the
    /// paths that are usually masked. Engines turn `privileged` into that; the specification has no field for it.
    pub fn is_privileged(&self) -> bool {
        let bounding = self.list("/process/capabilities/bounding");
        let administers = bounding.iter().any(|capability| capability == "CAP_SYS_ADMIN");
        let masks = !self.list("/linux/maskedPaths").is_empty();
        let text = |rule: &Value, key| rule.get(key).and_then(Value::as_str).map(str::to_owned);
        // The last rule about all devices counts.
        let all_devices = self
            .list("/linux/resources/devices")
            .iter()
            .rfind(|rule| text(rule, "type").is_none_or(|kind| kind == "a"))
            .is_some_and(|rule| {
                let is_allowed = rule.get("allow").and_then(Value::as_bool).unwrap_or_default();
                is_allowed && text(rule, "access").is_none_or(|access| access.contains('w'))
            });
        administers && !masks && all_devices
    }

    /// Bind mounts of host paths.
    pub fn mounts(&self) -> impl Iterator<Item = Mount> {
        self.list("/mounts").iter().filter_map(|mount| {
            let text = |key| mount.get(key).and_then(Value::as_str);
            let options = mount.get("options").and_then(Value::as_array);
            let has = |wanted: &str| options.is_some_and(|options| options.iter().any(|option| option == wanted));
            let is_bind = text("type") == Some("bind") || has("bind") || has("rbind");
            let access = if has("ro") { Access::ReadOnly } else { Access::ReadWrite };
            is_bind.then(|| {
                Some(Mount::new(
                    text("source")?,
                    text("destination").unwrap_or_default(),
                    access,
                ))
            })?
        })
    }

    fn list(&self, pointer: &str) -> &[Value] {
        self.0
            .pointer(pointer)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
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
            if let Some(specification) = Specification::from_json(&bytes) {
                specification.is_privileged();
                specification.mounts().count();
            }
        }
    }
}
