//! From where what events say of the host comes, and what of it is missing.

use super::check::Check;
use super::checks::{ok, warn};
use crate::enrich::host::{Host, NameOrigin};
use crate::enrich::node::{NodeRoot, RootPlace};

/// The lines of a pod's description that give what is missing.
const GIVES_NAME: &str = "set `host_name`, or in Kubernetes give the container `env: [{name: TIDEWAITER_NODE_NAME, valueFrom: \
                          {fieldRef: {fieldPath: spec.nodeName}}}]`";
const GIVES_FILES: &str = "in Kubernetes give the pod `hostPID: true` and the container `capabilities: {add: [SYS_PTRACE]}`; or \
                           mount the host's root with `hostPath: {path: /}` and `readOnly: true`, and set `host_root` \
                           (`TIDEWAITER_HOST_ROOT`) to that folder";

pub(super) fn judge(host: &Host, node: &NodeRoot) -> Vec<Check> {
    vec![name(host), files(host, node)]
}

fn name(host: &Host) -> Check {
    let from = match host.name_origin {
        NameOrigin::Configured => "by the configuration",
        NameOrigin::Host => "the host's own",
        NameOrigin::Node => "the node's name in its cluster",
        NameOrigin::File => "by the host's /etc/hostname",
        NameOrigin::Container => {
            return warn(
                "host name",
                format!(
                    "`{}` is the name of this container: events would bear it as `host.name`",
                    host.name
                ),
                GIVES_NAME,
            );
        }
    };
    ok("host name", format!("`{}`, {from}", host.name))
}

fn files(host: &Host, node: &NodeRoot) -> Check {
    let place = match node.place() {
        RootPlace::Configured(path) if !node.is_there() => {
            return warn(
                "host files",
                format!(
                    "`host_root` is `{}`, which is no folder here: {}",
                    path.display(),
                    without(host, node)
                ),
                "correct it, or mount the host's root there: `hostPath: {path: /}` with `readOnly: true`",
            );
        }
        RootPlace::Nowhere => {
            return warn(
                "host files",
                format!(
                    "this is a container that does not see the host's files: {}",
                    without(host, node)
                ),
                GIVES_FILES,
            );
        }
        RootPlace::Configured(path) => path.display().to_string(),
        RootPlace::Init => "the root of the host's first process".to_owned(),
        RootPlace::Own => "the sensor's own root".to_owned(),
    };
    let without = without(host, node);
    if without.is_empty() {
        return ok("host files", format!("id, system and users are read below {place}"));
    }
    warn(
        "host files",
        format!("below {place} something is missing: {without}"),
        "have /etc/machine-id, /etc/os-release, /etc/passwd and /etc/group there, with what they are links to",
    )
}

/// What events are without; empty if they have all.
fn without(host: &Host, node: &NodeRoot) -> String {
    let missing = [
        (!host.is_machine_id, "`host.id` is that of this boot alone"),
        (host.os_platform.is_none(), "`host.os` has no name and version"),
        (!node.has_users(), "the host's users and groups have no names"),
    ];
    let missing: Vec<&str> = missing
        .into_iter()
        .filter_map(|(is, what)| is.then_some(what))
        .collect();
    missing.join(", ")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::commands::doctor::CheckStatus;
    use crate::enrich::host::HostNames;

    fn checks(root: &Path, origin: NameOrigin) -> Vec<Check> {
        let node = NodeRoot::find(Some(root));
        let host = Host {
            name_origin: origin,
            ..Host::read(&node, HostNames::default())
        };
        judge(&host, &node)
    }

    #[test]
    fn what_is_missing_is_named_with_the_line_that_gives_it() {
        let named = checks(Path::new("/nonexistent"), NameOrigin::Container);
        assert_eq!([named[0].status, named[1].status], [CheckStatus::Warn; 2]);
        assert!(named[0].remedy.as_ref().unwrap().contains("fieldPath: spec.nodeName"));
        assert!(named[1].remedy.as_ref().unwrap().contains("hostPath"));
        assert!(named[1].found.contains("host.id"), "{}", named[1].found);
    }

    #[test]
    fn a_whole_root_is_no_complaint() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        for (file, text) in [
            ("machine-id", "0123456789abcdef0123456789abcdef"),
            ("os-release", "ID=some\n"),
            ("passwd", ""),
        ] {
            assert_eq!(
                checks(folder.path(), NameOrigin::Node)[1].status,
                CheckStatus::Warn,
                "{file}"
            );
            fs::write(folder.path().join("etc").join(file), text).unwrap();
        }
        let whole = checks(folder.path(), NameOrigin::Node);
        assert_eq!([whole[0].status, whole[1].status], [CheckStatus::Ok; 2], "{whole:?}");
    }
}
