//! What an engine says about a container.

use super::pod::Pod;
use super::socket::Runtime;
use super::text::{bounded, pair_bytes};
use std::sync::Arc;

/// The most mounts of one container that are kept.
const MOUNTS_AT_MOST: usize = 32;

/// The longest path of a cgroup that is kept.
const CGROUP_PATH_BYTES: usize = 1024;

/// Where engines listen, below the run folder.
const ENGINE_SOCKETS: [&str; 6] = [
    "docker.sock",
    "containerd/containerd.sock",
    "crio/crio.sock",
    "podman/podman.sock",
    "dockershim.sock",
    "cri-dockerd.sock",
];
/// Two names of the run folder.
const RUN_FOLDERS: [&str; 2] = ["/run", "/var/run"];
/// What engines and the kubelet mount into every container, by the last component of both paths.
const USUAL_FILES: [&str; 5] = ["hosts", "hostname", "resolv.conf", "shm", ".containerenv"];
/// Volumes of pods are below this path, which nobody chose on the host.
const POD_VOLUMES: &str = "/var/lib/kubelet/pods/";

/// A container as its engine describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The engine that knows the container.
    pub runtime: Runtime,
    /// Without the slash that Docker puts before it.
    pub name: String,
    /// What it was made from.
    pub image: Image,
    /// Sorted by key.
    pub labels: Vec<(String, String)>,
    /// How many labels were left out or lost a part of their value.
    pub cut_labels: u64,
    /// `None` while only the creation event is known, which does not say.
    pub privileged: Option<bool>,
    /// Of a container that was started with a terminal: whether its engine holds that open for input. Where it does not, as
    /// with `docker run -t` without `-i`, nobody can type there by way of the engine. `None` if it did not say.
    pub terminal_input: Option<bool>,
    /// Whether it runs a step of an image's build.
    pub is_build: bool,
    /// The user that the container is configured to run as, if any: `name`, `uid` or either with `:group`.
    pub user: Option<String>,
    /// Nanoseconds since the epoch.
    pub started: Option<i64>,
    /// Host paths in the container, without those that every container has.
    pub mounts: Vec<Mount>,
    /// The Kubernetes pod that the container is part of.
    pub pod: Option<Arc<Pod>>,
    /// The path of its cgroup, where the engine says it: from the root of the hierarchy if it begins with a slash, and
    /// otherwise below a cgroup that the engine did not choose.
    pub cgroup: Option<String>,
}

/// The path of a cgroup as an engine says it; `None` if it says none, or one that no cgroup can have.
pub(crate) fn cgroup_path(path: String) -> Option<String> {
    (!path.is_empty() && path.len() <= CGROUP_PATH_BYTES).then_some(path)
}

impl Metadata {
    /// The memory that it takes, without its pod's.
    pub(crate) fn bytes(&self) -> usize {
        let labels = self.labels.iter().map(pair_bytes).sum::<usize>();
        let digests = self
            .image
            .digests
            .iter()
            .map(|digest| digest.len() + size_of::<String>())
            .sum::<usize>();
        let mounts = self.mounts.iter();
        let mounts = mounts.map(|mount| mount.source.len() + mount.destination.len() + size_of::<Mount>());
        let texts = [
            Some(&self.name),
            Some(&self.image.name),
            self.image.tag.as_ref(),
            self.user.as_ref(),
        ];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        size_of::<Metadata>() + labels + digests + mounts.sum::<usize>() + texts
    }
}

/// A path of the host that a container sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The path on the host.
    pub source: String,
    /// The path in the container.
    pub destination: String,
    /// Whether the container may write there.
    pub access: Access,
}

/// What a container may do with a mount.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    ReadOnly,
    /// Read and write.
    ReadWrite,
}

impl Mount {
    /// A mount, its paths cut to size.
    pub fn new(source: &str, destination: &str, access: Access) -> Mount {
        Mount {
            source: bounded(source),
            destination: bounded(destination),
            access,
        }
    }

    /// Whether somebody chose to mount this path. Engines and the kubelet mount a few files of their own, and volumes.
    fn is_notable(&self) -> bool {
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let is_usual = USUAL_FILES.contains(&last(&self.source).as_str())
            && last(&self.source) == last(&self.destination)
            && !RUN_FOLDERS.contains(&self.source.as_str());
        let is_volume = self
            .source
            .strip_prefix(POD_VOLUMES)
            .is_some_and(|rest| rest.contains('/') && !rest.contains("../"));
        self.source.starts_with('/') && !is_usual && !is_volume
    }

    /// Whether an engine's socket is at the path or below it: with it, the container can do all that the engine can.
    pub fn reaches_engine(&self) -> bool {
        let source = self.source.trim_end_matches('/');
        RUN_FOLDERS.iter().any(|folder| {
            ENGINE_SOCKETS.iter().any(|socket| {
                let socket = format!("{folder}/{socket}");
                socket == source || socket.strip_prefix(source).is_some_and(|rest| rest.starts_with('/'))
            })
        }) || ENGINE_SOCKETS.iter().any(|socket| {
            let name = socket.rsplit('/').next().unwrap_or(socket);
            source.rsplit('/').next() == Some(name)
        })
    }
}

impl std::fmt::Display for Mount {
    /// `source:destination:ro` or `:rw`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let access = match self.access {
            Access::ReadOnly => "ro",
            Access::ReadWrite => "rw",
        };
        write!(formatter, "{}:{}:{access}", self.source, self.destination)
    }
}

/// The notable ones of a container's bind mounts up to a limit, those that reach an engine first. Takes no more room than
/// what is kept.
pub(crate) fn notable_mounts(mounts: impl IntoIterator<Item = Mount>) -> Vec<Mount> {
    let (mut reaching, mut others) = (Vec::new(), Vec::new());
    for mount in mounts.into_iter().filter(Mount::is_notable) {
        let kept = if mount.reaches_engine() {
            &mut reaching
        } else {
            &mut others
        };
        if kept.len() < MOUNTS_AT_MOST {
            kept.push(mount);
        }
    }
    reaching.extend(others);
    reaching.truncate(MOUNTS_AT_MOST);
    reaching
}

/// An image reference in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// With the registry, if one is named.
    pub name: String,
    /// As the reference has it.
    pub tag: Option<String>,
    /// `algorithm:value`: the image's id, and the digest in the reference.
    pub digests: Vec<String>,
}

impl Image {
    /// Splits `[registry[:port]/]name[:tag][@digest]`. A reference without tag and digest means
    /// the tag `latest`, unless it is an image id.
    pub fn from_reference(reference: &str) -> Image {
        let (rest, digest) = match reference.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (reference, None),
        };
        let digests = digest.map(bounded).into_iter().collect();
        if is_image_id(rest) {
            return Image {
                name: bounded(rest),
                tag: None,
                digests,
            };
        }
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ if digest.is_none() => (rest, Some("latest")),
            _ => (rest, None),
        };
        Image {
            name: bounded(name),
            tag: tag.map(bounded),
            digests,
        }
    }

    /// Adds a digest once.
    pub(crate) fn add_digest(&mut self, digest: &str) {
        let digest = bounded(digest);
        if !digest.is_empty() && !self.digests.contains(&digest) {
            self.digests.push(digest);
        }
    }

    /// The digest in a reference such as `name@sha256:..`, or a reference that is one.
    pub(crate) fn add_reference_digest(&mut self, reference: &str) {
        match reference.split_once('@') {
            Some((_, digest)) => self.add_digest(digest),
            None if is_image_id(reference) => self.add_digest(reference),
            None => {}
        }
    }
}

/// At least the twelve digits that engines display, at most the whole id.
fn is_image_id(reference: &str) -> bool {
    let digits = reference.strip_prefix("sha256:").unwrap_or(reference);
    (12..=64).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
impl Metadata {
    /// Of a container of Docker about which nothing but its name is known.
    pub(crate) fn named(name: &str) -> Metadata {
        Metadata {
            runtime: Runtime::Docker,
            name: name.to_owned(),
            image: Image::default(),
            labels: Vec::new(),
            cut_labels: 0,
            privileged: None,
            terminal_input: None,
            is_build: false,
            user: None,
            started: None,
            mounts: Vec::new(),
            pod: None,
            cgroup: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::text::TEXT_BYTES;
    use proptest::prelude::*;

    fn check(reference: &str, name: &str, tag: Option<&str>, digests: &[&str]) {
        let image = Image::from_reference(reference);
        assert_eq!(image.name, name, "{reference}");
        assert_eq!(image.tag.as_deref(), tag, "{reference}");
        assert_eq!(image.digests, digests, "{reference}");
    }

    #[test]
    fn an_image_reference_falls_into_its_parts() {
        check("nginx", "nginx", Some("latest"), &[]);
        check("nginx:1.25", "nginx", Some("1.25"), &[]);
        check(
            "localhost:5000/team/app",
            "localhost:5000/team/app",
            Some("latest"),
            &[],
        );
        check("localhost:5000/team/app:2", "localhost:5000/team/app", Some("2"), &[]);
        check("app@sha256:ab", "app", None, &["sha256:ab"]);
        check("app:2@sha256:ab", "app", Some("2"), &["sha256:ab"]);
        check("host:1/app@sha256:ab", "host:1/app", None, &["sha256:ab"]);
        check("", "", Some("latest"), &[]);
    }

    #[test]
    fn an_image_id_has_no_tag() {
        check("6db70ade5db4", "6db70ade5db4", None, &[]);
        let id = format!("sha256:{}", "6d".repeat(32));
        check(&id, &id, None, &[]);
    }

    fn mount(source: &str, destination: &str) -> Mount {
        Mount::new(source, destination, Access::ReadOnly)
    }

    #[test]
    fn mounts_that_every_container_has_are_left_out() {
        let usual = [
            mount("/var/lib/docker/containers/a/hosts", "/etc/hosts"),
            mount("/run/containerd/io.containerd.grpc.v1.cri/sandboxes/a/shm", "/dev/shm"),
            mount("/var/lib/kubelet/pods/6a1c/etc-hosts", "/etc/hosts"),
            mount(
                "/var/lib/kubelet/pods/6a1c/volumes/kubernetes.io~projected/token",
                "/var/run/secrets",
            ),
            mount("tmpfs", "/tmp"),
        ];
        assert_eq!(notable_mounts(usual), []);
        let notable = [
            mount("/", "/etc/hosts"),
            mount("/etc", "/host"),
            mount("/var/lib/kubelet/pods", "/pods"),
            mount("/var/lib/kubelet/pods/../../../", "/root"),
        ];
        assert_eq!(notable_mounts(notable).len(), 4);
    }

    #[test]
    fn an_engines_socket_is_seen_at_its_path_above_it_and_by_its_name() {
        for source in [
            "/var/run/docker.sock",
            "/run/docker.sock",
            "/run/",
            "/run/containerd",
            "/",
            "/var",
            "/run/user/1000/podman/podman.sock",
        ] {
            assert!(mount(source, "/x").reaches_engine(), "{source}");
        }
        for source in ["/etc", "/runner", "/var/lib", "/run/containers", "/home/docker.sock.d"] {
            assert!(!mount(source, "/x").reaches_engine(), "{source}");
        }
    }

    proptest! {
        #[test]
        fn any_reference_is_accepted(reference in ".{0,600}") {
            let image = Image::from_reference(&reference);
            prop_assert!(image.name.len() <= TEXT_BYTES);
        }
    }
}
