//! Container engines and where they listen.

use std::fmt;
use std::path::PathBuf;

/// What runs a container.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// Docker.
    Docker,
    /// containerd.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman.
    Podman,
    /// A step of an image build, by a Docker engine or by buildkitd.
    Buildkit,
    /// runc without an engine.
    Runc,
    /// crun without an engine.
    Crun,
    /// youki without an engine.
    Youki,
    /// gVisor's runsc without an engine.
    Runsc,
    /// LXC and Incus.
    Lxc,
    /// systemd-nspawn.
    SystemdNspawn,
}

impl Runtime {
    /// The name for `container.runtime`.
    pub fn name(self) -> &'static str {
        match self {
            Runtime::Docker => "docker",
            Runtime::Containerd => "containerd",
            Runtime::CriO => "cri-o",
            Runtime::Podman => "podman",
            Runtime::Buildkit => "buildkit",
            Runtime::Runc => "runc",
            Runtime::Crun => "crun",
            Runtime::Youki => "youki",
            Runtime::Runsc => "runsc",
            Runtime::Lxc => "lxc",
            Runtime::SystemdNspawn => "systemd-nspawn",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The engines that can be asked.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// Docker.
    Docker,
    /// Podman, whose socket speaks Docker's protocol.
    Podman,
    /// containerd: its own interface, and CRI on the same socket.
    Containerd,
    /// CRI-O, over CRI.
    CriO,
}

impl EngineKind {
    /// Every kind.
    pub const ALL: [EngineKind; 4] = [
        EngineKind::Docker,
        EngineKind::Podman,
        EngineKind::Containerd,
        EngineKind::CriO,
    ];

    /// The runtime of its containers.
    pub fn runtime(self) -> Runtime {
        match self {
            EngineKind::Docker => Runtime::Docker,
            EngineKind::Podman => Runtime::Podman,
            EngineKind::Containerd => Runtime::Containerd,
            EngineKind::CriO => Runtime::CriO,
        }
    }

    /// As the configuration spells it.
    pub fn name(self) -> &'static str {
        self.runtime().name()
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Where an engine's containers are. What it says about others does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this host.
    Host,
    /// In this user's part of the cgroup tree.
    User(u32),
    /// Inside the container with this id or name, such as a kind node.
    Inside(String),
}

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSocket {
    /// Which engine it is.
    pub kind: EngineKind,
    /// The path of the socket.
    pub path: PathBuf,
    /// Where its containers are.
    pub place: Place,
}

impl EngineSocket {
    /// An engine of this host.
    pub fn on_host(kind: EngineKind, path: impl Into<PathBuf>) -> EngineSocket {
        EngineSocket {
            kind,
            path: path.into(),
            place: Place::Host,
        }
    }
}

impl fmt::Display for EngineSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at `{}`", self.kind, self.path.display())
    }
}
