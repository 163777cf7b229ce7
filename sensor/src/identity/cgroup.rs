//! The identity of a container from a cgroup path.
//!
//! Accepts paths in the v2 tree and in any v1 hierarchy, as seen from the root of the hierarchy. Needs no engine and no
//! file: the same path always gives the same answer, and the id is always a substring of the path.
//!
//! # What a container can fake
//!
//! A path names containers from the outside in. Whatever is below a container's own cgroup was named by that container
//! if it may write to its cgroup tree: the kubelet of a kind node does so, and a hostile container can do so too and
//! create a directory `docker-<another container's id>.scope`. Both look alike, and no rule about paths can tell them
//! apart. So the innermost container gives the identity, and the outermost one, whose name was chosen outside, is kept
//! as [`ContainerIdentity::nested_in`]. Nothing that an engine on this host says about a container may be attached to a
//! nested identity, because an engine's own containers are never nested.
//!
//! The same holds below `user@<uid>.service`, the part of the tree that systemd delegates to a user: rootless
//! containers are there, and that user can name a cgroup like any container. Such identities carry
//! [`ContainerIdentity::rootless_owner`].

use container_engines::{ContainerClaim, ContainerRef, Runtime};

/// A container, as the path of a cgroup names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerIdentity {
    /// The full id, as the engine spells it: 64 hexadecimal digits, except for build steps and for containers that were
    /// given a name on containerd's own interface.
    pub id: String,
    /// What runs the container, if the path shows it.
    pub runtime: Option<Runtime>,
    /// The Kubernetes pod's uid, with dashes, or the 32 digits of a static pod's configuration hash.
    pub pod_uid: Option<String>,
    /// The user in whose part of the cgroup tree the outermost container is.
    pub rootless_owner: Option<u32>,
    /// The outermost container around this one, if it is not this one.
    pub nested_in: Option<Box<ContainerIdentity>>,
}

impl ContainerIdentity {
    /// The id of the outermost container around it, which is its own if there is none: who is answerable for what it
    /// does, since its name was chosen outside.
    pub fn outermost_id(&self) -> &str {
        self.nested_in.as_deref().map_or(&self.id, |outermost| &outermost.id)
    }

    /// What the container engines are asked about this container.
    pub fn claim(&self) -> ContainerClaim<'_> {
        ContainerClaim {
            container: self.container(),
            rootless_owner: self.rootless_owner,
            nested_in: self.nested_in.as_deref().map(ContainerIdentity::container),
        }
    }

    /// The container that remains once the engines have judged the claim: if they refute it, the outermost one or none.
    pub fn unmask(self, refutes: impl FnOnce(ContainerClaim<'_>) -> bool) -> Option<ContainerIdentity> {
        if refutes(self.claim()) {
            self.nested_in.map(|outermost| *outermost)
        } else {
            Some(self)
        }
    }

    fn container(&self) -> ContainerRef<'_> {
        ContainerRef {
            id: &self.id,
            runtime: self.runtime,
        }
    }
}

/// One form in which a path's component names a container.
struct Pattern {
    parent: Parent,
    prefix: &'static str,
    id: IdForm,
    suffix: &'static str,
    runtime: Option<Runtime>,
}

/// What has to be above the component.
enum Parent {
    Any,
    /// A cgroup of this name, anywhere.
    Named(&'static str),
    /// A cgroup of this name directly below the root of the hierarchy.
    AtRoot(&'static str),
}

#[derive(Copy, Clone)]
enum IdForm {
    /// 64 lower-case hexadecimal digits.
    Hex64,
    /// 25 lower-case letters and digits: a build step.
    BuildStep,
    /// Whatever containerd accepts as a container's id.
    ContainerdName,
}

/// The longest id that containerd accepts.
const CONTAINERD_NAME_BYTES: usize = 76;

/// All patterns; the first match counts. `slice:prefix:id` is what runc makes of systemd's notation when it manages
/// cgroups itself; the part before the first colon stands for the parent.
///
/// Helpers beside a container (`libpod-conmon-<id>.scope`, `crio-conmon-<id>.scope`) and pods
/// (`machine-libpod_pod_<id>.slice`) match none of them.
#[rustfmt::skip]
const PATTERNS: &[Pattern] = {
    use IdForm::{BuildStep, ContainerdName, Hex64};
    use Parent::{Any, AtRoot, Named};
    use Runtime::{Buildkit, Containerd, CriO, Docker, Podman};
    &[
        pattern(Any, "docker-", Hex64, ".scope", Some(Docker)),
        pattern(Any, "docker:", Hex64, "", Some(Docker)),
        pattern(Named("docker"), "", Hex64, "", Some(Docker)),
        pattern(Any, "docker-", BuildStep, ".scope", Some(Buildkit)),
        pattern(Named("buildkit"), "", BuildStep, "", Some(Buildkit)),
        pattern(Any, "cri-containerd-", Hex64, ".scope", Some(Containerd)),
        pattern(Any, "cri-containerd:", Hex64, "", Some(Containerd)),
        pattern(Any, "nerdctl-", Hex64, ".scope", Some(Containerd)),
        pattern(AtRoot("k8s.io"), "", Hex64, "", Some(Containerd)),
        pattern(AtRoot("default"), "", ContainerdName, "", Some(Containerd)),
        pattern(Any, "crio-", Hex64, ".scope", Some(CriO)),
        pattern(Any, "crio-", Hex64, "", Some(CriO)),
        pattern(Any, "libpod-", Hex64, ".scope", Some(Podman)),
        pattern(Any, "libpod-", Hex64, "", Some(Podman)),
        pattern(Any, "libpod-payload-", Hex64, "", Some(Podman)),
        // Pods on a node with the cgroupfs driver, other containerd namespaces, and engines with another parent
        // configured.
        pattern(Any, "", Hex64, "", None),
    ]
};

const fn pattern(
    parent: Parent,
    prefix: &'static str,
    id: IdForm,
    suffix: &'static str,
    runtime: Option<Runtime>,
) -> Pattern {
    Pattern {
        parent,
        prefix,
        id,
        suffix,
        runtime,
    }
}

/// Names the container that a cgroup path belongs to; `None` on the host.
pub fn identify(path: &str) -> Option<ContainerIdentity> {
    let mut outermost: Option<Found<'_>> = None;
    let mut innermost: Option<Found<'_>> = None;
    let mut rootless_owner = None;
    let mut parent = "";
    let components = path.split('/').filter(|component| !component.is_empty());
    for (depth, component) in components.enumerate() {
        if let Some(found) = match_component(parent, depth, component) {
            outermost = outermost.or(Some(found));
            innermost = Some(found);
        } else if outermost.is_none() {
            rootless_owner = user_manager(component).or(rootless_owner);
        }
        parent = component;
    }
    let outermost = outermost?.identity(rootless_owner);
    let mut identity = innermost?.identity(rootless_owner);
    if identity.id != outermost.id {
        identity.nested_in = Some(Box::new(outermost));
    }
    Some(identity)
}

#[derive(Copy, Clone)]
struct Found<'path> {
    id: &'path str,
    runtime: Option<Runtime>,
    parent: &'path str,
}

impl Found<'_> {
    fn identity(self, rootless_owner: Option<u32>) -> ContainerIdentity {
        ContainerIdentity {
            id: self.id.to_owned(),
            runtime: self.runtime,
            pod_uid: pod_uid(self.parent),
            rootless_owner,
            nested_in: None,
        }
    }
}

/// `depth` is the number of components above this one.
fn match_component<'path>(parent: &'path str, depth: usize, component: &'path str) -> Option<Found<'path>> {
    let (parent, component) = match component.split_once(':') {
        Some((slice, rest)) if slice.ends_with(".slice") => (slice, rest),
        _ => (parent, component),
    };
    PATTERNS.iter().find_map(|pattern| {
        let below_right_parent = match pattern.parent {
            Parent::Any => true,
            Parent::Named(name) => parent == name,
            Parent::AtRoot(name) => depth == 1 && parent == name,
        };
        let id = component.strip_prefix(pattern.prefix)?.strip_suffix(pattern.suffix)?;
        (below_right_parent && pattern.id.fits(id)).then_some(Found {
            id,
            runtime: pattern.runtime,
            parent,
        })
    })
}

impl IdForm {
    fn fits(self, text: &str) -> bool {
        match self {
            IdForm::Hex64 => text.len() == 64 && text.bytes().all(is_lower_hex),
            IdForm::BuildStep => {
                text.len() == 25
                    && text
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            }
            IdForm::ContainerdName => {
                text.len() <= CONTAINERD_NAME_BYTES
                    && text
                        .split(['.', '_', '-'])
                        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
            }
        }
    }
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The uid in `user@<uid>.service`.
fn user_manager(component: &str) -> Option<u32> {
    component.strip_prefix("user@")?.strip_suffix(".service")?.parse().ok()
}

/// The pod uid in `pod<uid>` (cgroupfs driver) and `...-pod<uid>.slice` (systemd driver, where the
/// uid's dashes are underscores, because a dash separates slices).
fn pod_uid(component: &str) -> Option<String> {
    let uid = match component.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?.1.replace('_', "-"),
        None => component.strip_prefix("pod")?.to_owned(),
    };
    let is_uuid = uid.len() == 36
        && uid.bytes().enumerate().all(|(position, byte)| {
            if matches!(position, 8 | 13 | 18 | 23) {
                byte == b'-'
            } else {
                is_lower_hex(byte)
            }
        });
    let is_configuration_hash = uid.len() == 32 && uid.bytes().all(is_lower_hex);
    (is_uuid || is_configuration_hash).then_some(uid)
}

#[cfg(test)]
mod tests;
