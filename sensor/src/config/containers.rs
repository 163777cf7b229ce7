//! `[containers]`: which engines are asked, and what for.

use std::path::PathBuf;
use std::time::Duration;

use container_engines::{DirectoryOptions, EngineKind, EngineSocket, Place};
use serde::Deserialize;
use toml::Spanned;

use super::problem::{Checker, not_empty, parse_duration};

/// The most engines beside the four usual ones.
const FURTHER_ENGINES_AT_MOST: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainersConfig {
    /// Of the usual engines, in the order of their kinds; an empty path means that it is not asked.
    pub(crate) sockets: [PathBuf; EngineKind::ALL.len()],
    pub(crate) further_engines: Vec<EngineSocket>,
    pub(crate) directory: DirectoryOptions,
    /// How long a rule that reads metadata, and a person who reads alerts, wait for it.
    pub(crate) metadata_wait: Duration,
    pub(crate) cluster_name: Option<String>,
    pub(crate) node_name: Option<String>,
}

impl Default for ContainersConfig {
    fn default() -> Self {
        Self {
            sockets: EngineKind::ALL.map(|kind| usual_socket(kind).into()),
            further_engines: Vec::new(),
            directory: DirectoryOptions::default(),
            metadata_wait: Duration::from_millis(250),
            cluster_name: None,
            node_name: None,
        }
    }
}

impl ContainersConfig {
    /// Asked for metadata, each only about containers that can be its own.
    pub(crate) fn engines(&self) -> Vec<EngineSocket> {
        let usual = EngineKind::ALL.into_iter().zip(&self.sockets);
        let usual = usual.filter(|(_, path)| !path.as_os_str().is_empty());
        usual
            .map(|(kind, path)| EngineSocket::on_host(kind, path))
            .chain(self.further_engines.iter().cloned())
            .collect()
    }
}

fn usual_socket(kind: EngineKind) -> &'static str {
    match kind {
        EngineKind::Docker => "/var/run/docker.sock",
        EngineKind::Podman => "/run/podman/podman.sock",
        EngineKind::Containerd => "/run/containerd/containerd.sock",
        EngineKind::CriO => "/run/crio/crio.sock",
    }
}

/// As written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct RawContainers {
    docker_socket: Option<PathBuf>,
    podman_socket: Option<PathBuf>,
    containerd_socket: Option<PathBuf>,
    crio_socket: Option<PathBuf>,
    further_engines: Option<Spanned<Vec<RawEngine>>>,
    pod_annotations: Option<Vec<String>>,
    cluster_name: Option<String>,
    node_name: Option<String>,
    metadata_wait: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEngine {
    engine: String,
    socket: PathBuf,
    user: Option<u32>,
    inside: Option<String>,
}

impl RawContainers {
    /// What is not written stays as in `base`.
    pub(crate) fn check(self, checker: &mut Checker<'_>, base: ContainersConfig) -> ContainersConfig {
        let written = EngineKind::ALL.map(|kind| match kind {
            EngineKind::Docker => self.docker_socket.clone(),
            EngineKind::Podman => self.podman_socket.clone(),
            EngineKind::Containerd => self.containerd_socket.clone(),
            EngineKind::CriO => self.crio_socket.clone(),
        });
        let mut sockets = base.sockets;
        for (socket, written) in sockets.iter_mut().zip(written) {
            *socket = written.unwrap_or(std::mem::take(socket));
        }
        ContainersConfig {
            sockets,
            further_engines: checker.value(self.further_engines, base.further_engines, |written| {
                if written.len() > FURTHER_ENGINES_AT_MOST {
                    return Err(format!(
                        "there may be at most {FURTHER_ENGINES_AT_MOST} further engines"
                    ));
                }
                written.into_iter().map(RawEngine::check).collect()
            }),
            directory: DirectoryOptions {
                pod_annotations: self.pod_annotations.unwrap_or(base.directory.pod_annotations),
            },
            metadata_wait: checker.value(self.metadata_wait, base.metadata_wait, |written| {
                parse_duration(&written)
            }),
            cluster_name: not_empty(self.cluster_name, base.cluster_name),
            node_name: not_empty(self.node_name, base.node_name),
        }
    }
}

impl RawEngine {
    fn check(self) -> Result<EngineSocket, String> {
        let kind = EngineKind::ALL
            .into_iter()
            .find(|kind| kind.name() == self.engine)
            .ok_or_else(|| {
                format!(
                    "`{}` is none of `docker`, `podman`, `containerd` and `cri-o`",
                    self.engine
                )
            })?;
        let place = match (self.user, self.inside) {
            (None, None) => Place::Host,
            (Some(user), None) => Place::User(user),
            (None, Some(container)) => Place::Inside(container),
            (Some(_), Some(_)) => return Err("an engine is a `user`'s or `inside` a container, not both".to_owned()),
        };
        Ok(EngineSocket {
            kind,
            path: self.socket,
            place,
        })
    }
}
