//! The identity of a container from a cgroup path.
//!
//! Accepts paths in the v2 tree and in any v1 hierarchy, as seen from the root of the hierarchy. Needs no engine and no
//! file: the same path always gives the same answer, and the id is always a substring of the path.
//!
//! A path that does not begin at the root lost its outermost part on the way, and names nothing: what is left of it was
//! named by whoever made so deep a cgroup.
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

use super::engines::Engines;

/// A container, as the path of a cgroup names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerIdentity {
    /// The full id, as the engine spells it: 64 hexadecimal digits, except for build steps and for containers that have
    /// a name instead. A name in another namespace of containerd's than the default one is preceded by it.
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

    /// Whether it is a step of an image's build, by BuildKit or Buildah. One in another container may be called so by that.
    pub(crate) fn is_build(&self) -> bool {
        let is_buildah = self.id.starts_with("buildah-");
        self.nested_in.is_none() && (self.runtime == Some(Runtime::Buildkit) || is_buildah)
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
    /// The same, and what is above it is a part of the id.
    QualifiedName,
    /// A machine's name, with systemd's escapes.
    MachineName,
}

/// The longest name that containerd accepts; longer ones are no machine's either.
const NAME_BYTES: usize = 76;

/// systemd-nspawn's own cgroup, which lies in its container's beside the one that the container gets.
const NSPAWN_HELPER: &str = "supervisor";
/// How systemd's names of virtual machines begin, which are beside those of containers.
const VIRTUAL_MACHINE: &str = "qemu\\x2d";

/// All patterns; the first match counts. `slice:prefix:id` is what runc makes of systemd's notation when it manages
/// cgroups itself; the part before the first colon stands for the parent.
///
/// Helpers beside a container (`libpod-conmon-<id>.scope`, `crio-conmon-<id>.scope`, `lxc.monitor.<name>`) and pods
/// (`machine-libpod_pod_<id>.slice`) match none of them.
#[rustfmt::skip]
const PATTERNS: &[Pattern] = {
    use IdForm::{BuildStep, ContainerdName, Hex64, MachineName, QualifiedName};
    use Parent::{Any, AtRoot, Named};
    use Runtime::{Buildkit, Containerd, CriO, Crun, Docker, Lxc, Podman, Runc, SystemdNspawn, Youki};
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
        pattern(AtRoot("k8s.io"), "", QualifiedName, "", Some(Containerd)),
        pattern(AtRoot("default"), "", ContainerdName, "", Some(Containerd)),
        pattern(Any, "crio-", Hex64, ".scope", Some(CriO)),
        pattern(Any, "crio-", Hex64, "", Some(CriO)),
        pattern(Any, "libpod-", Hex64, ".scope", Some(Podman)),
        pattern(Any, "libpod-", Hex64, "", Some(Podman)),
        pattern(Any, "libpod-payload-", Hex64, "", Some(Podman)),
        pattern(Any, "runc-", MachineName, ".scope", Some(Runc)),
        pattern(Any, "crun-", MachineName, ".scope", Some(Crun)),
        pattern(Any, "youki-", MachineName, ".scope", Some(Youki)),
        pattern(Any, "lxc.payload.", MachineName, "", Some(Lxc)),
        pattern(AtRoot("lxc.payload"), "", MachineName, "", Some(Lxc)),
        pattern(AtRoot("lxc"), "", MachineName, "", Some(Lxc)),
        pattern(Named("machine.slice"), "machine-", MachineName, ".scope", Some(SystemdNspawn)),
        pattern(Named("machine.slice"), "systemd-nspawn@", MachineName, ".service", Some(SystemdNspawn)),
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
    read(path, None)
}

/// The same with what the engines of this host say: where their containers are, and which claims are false.
pub(super) fn settle(path: &str, engines: &dyn Engines) -> Option<ContainerIdentity> {
    let possible = possible_cgroups(path);
    let cgroups: Vec<&str> = possible.iter().map(|(_, cgroup)| *cgroup).collect();
    let said = engines.container_in(&cgroups);
    let stated = said.as_ref().and_then(|(position, id, runtime)| {
        let (end, _) = *possible.get(*position)?;
        let runtime = *runtime;
        Some(Stated { end, id, runtime })
    });
    read(path, stated)?.unmask(|claim| engines.refutes(claim))
}

/// Whether a container of this id is named anywhere in a path.
pub(super) fn names(path: &str, id: &str) -> bool {
    let mut components = components(path);
    components.any(|component| component.container().is_some_and(|found| found.id == id))
}

/// A cgroup that is a container's by its engine's word.
struct Stated<'a> {
    /// Where its path ends.
    end: usize,
    id: &'a str,
    runtime: Runtime,
}

fn read<'a>(path: &'a str, stated: Option<Stated<'a>>) -> Option<ContainerIdentity> {
    let mut outermost: Option<Found<'_>> = None;
    let mut innermost: Option<Found<'_>> = None;
    let mut rootless_owner = None;
    for component in components(path) {
        let found = component.container();
        if let Some(stated) = &stated
            && stated.end == component.end
        {
            // Names above it were chosen by whoever told the engine where to put it.
            let own = found.filter(|found| found.id == stated.id).unwrap_or(Found {
                id: stated.id,
                runtime: Some(stated.runtime),
                parent: "",
            });
            (outermost, innermost, rootless_owner) = (Some(own), Some(own), None);
        } else if let Some(found) = found {
            outermost = outermost.or(Some(found));
            innermost = Some(found);
        } else if outermost.is_none() {
            rootless_owner = user_manager(component.name).or(rootless_owner);
        }
    }
    let outermost = outermost?.identity(rootless_owner);
    let mut identity = innermost?.identity(rootless_owner);
    if identity.id != outermost.id {
        identity.nested_in = Some(Box::new(outermost));
    }
    Some(identity)
}

/// How deep below the root an engine is looked for that puts containers into cgroups of its own choice, and how deep they are
/// looked for. A cluster's node in a container in a user's session is at half of it; a container with rights makes cgroups
/// thousands deep.
const DEPTH_OF_ENGINES: usize = 16;

/// The cgroups that an engine may have meant, each with where it ends, the deepest first: above a path that begins below
/// the root are cgroups of the host alone.
fn possible_cgroups(path: &str) -> Vec<(usize, &str)> {
    let mut starts = Vec::new();
    let mut ends = Vec::new();
    let mut is_on_host = true;
    for component in components(path).take(DEPTH_OF_ENGINES) {
        if is_on_host {
            starts.push(component.start);
        }
        is_on_host &= component.container().is_none();
        ends.push(component.end);
    }
    let below = |end: &usize| {
        let end = *end;
        let starts = starts.iter().filter(move |start| **start < end);
        starts.filter_map(move |start| Some((end, path.get(*start..end)?)))
    };
    ends.iter().rev().flat_map(below).collect()
}

/// A part of a path.
struct Component<'path> {
    path: &'path str,
    name: &'path str,
    start: usize,
    end: usize,
    /// The one above it, empty at the root.
    parent: &'path str,
    parent_start: usize,
    /// The number of components above it.
    depth: usize,
    /// The one below it.
    child: Option<&'path str>,
}

fn components(path: &str) -> impl Iterator<Item = Component<'_>> {
    let is_whole = path.starts_with('/');
    let (mut position, mut above, mut depth) = (0, ("", 0), 0);
    let parts = path.split('/').take_while(move |_| is_whole);
    parts.filter_map(move |name| {
        let start = position;
        let end = start + name.len();
        position = end + 1;
        if name.is_empty() {
            return None;
        }
        let rest = path.get(position..).unwrap_or_default();
        let component = Component {
            path,
            name,
            start,
            end,
            parent: above.0,
            parent_start: above.1,
            depth,
            child: rest.split('/').find(|name| !name.is_empty()),
        };
        (above, depth) = ((name, start), depth + 1);
        Some(component)
    })
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

impl<'path> Component<'path> {
    /// The container that it names.
    fn container(&self) -> Option<Found<'path>> {
        let (parent, name) = match self.name.split_once(':') {
            Some((slice, rest)) if slice.ends_with(".slice") => (slice, rest),
            _ => (self.parent, self.name),
        };
        let found = PATTERNS.iter().find_map(|pattern| {
            let below_right_parent = match pattern.parent {
                Parent::Any => true,
                Parent::Named(name) => parent == name,
                Parent::AtRoot(name) => self.depth == 1 && parent == name,
            };
            let id = name.strip_prefix(pattern.prefix)?.strip_suffix(pattern.suffix)?;
            let id = match pattern.id {
                IdForm::QualifiedName if pattern.id.fits(id) => self.path.get(self.parent_start..self.end)?,
                form => Some(id).filter(|id| form.fits(id))?,
            };
            below_right_parent.then_some(Found {
                id,
                runtime: pattern.runtime,
                parent,
            })
        })?;
        let is_helper = found.runtime == Some(Runtime::SystemdNspawn) && self.child == Some(NSPAWN_HELPER);
        (!is_helper).then_some(found)
    }
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
            IdForm::MachineName => {
                let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@\\".contains(&byte);
                !text.is_empty()
                    && text.len() <= NAME_BYTES
                    && text.bytes().all(is_of_name)
                    && !text.starts_with(VIRTUAL_MACHINE)
            }
            IdForm::ContainerdName | IdForm::QualifiedName => {
                text.len() <= NAME_BYTES
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
