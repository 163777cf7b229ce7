//! `[containers]`: which engines are asked, and what for.

use std::path::PathBuf;
use std::time::Duration;

use container_engines::{DirectoryOptions, EngineKind, EngineSocket, Place};
use serde::Deserialize;
use toml::Spanned;

use super::problem::{Checker, parse_duration};

/// The most engines beside the four usual ones.
const FURTHER_ENGINES_AT_MOST: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainersConfig {
    /// Asked for metadata, each only about containers that can be its own.
    pub(crate) engines: Vec<EngineSocket>,
    pub(crate) directory: DirectoryOptions,
    /// How long a rule that reads metadata, and a person who reads alerts, wait for it.
    pub(crate) metadata_wait: Duration,
    /// `None`: as the environment says, if it does.
    pub(crate) cluster_name: Option<String>,
    pub(crate) node_name: Option<String>,
}

impl Default for ContainersConfig {
    fn default() -> Self {
        Self {
            engines: EngineKind::ALL
                .map(|kind| EngineSocket::on_host(kind, usual_socket(kind)))
                .to_vec(),
            directory: DirectoryOptions::default(),
            metadata_wait: Duration::from_millis(250),
            cluster_name: None,
            node_name: None,
        }
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
    pub(crate) fn check(self, checker: &mut Checker<'_>) -> ContainersConfig {
        let default = ContainersConfig::default();
        let mut engines = Vec::new();
        for (kind, written) in [
            (EngineKind::Docker, self.docker_socket),
            (EngineKind::Podman, self.podman_socket),
            (EngineKind::Containerd, self.containerd_socket),
            (EngineKind::CriO, self.crio_socket),
        ] {
            let path = written.unwrap_or_else(|| usual_socket(kind).into());
            // An empty path switches the engine off.
            if !path.as_os_str().is_empty() {
                engines.push(EngineSocket::on_host(kind, path));
            }
        }
        engines.extend(checker.value(self.further_engines, Vec::new(), |written| {
            if written.len() > FURTHER_ENGINES_AT_MOST {
                return Err(format!(
                    "there may be at most {FURTHER_ENGINES_AT_MOST} further engines"
                ));
            }
            written.into_iter().map(RawEngine::check).collect()
        }));
        ContainersConfig {
            engines,
            directory: DirectoryOptions {
                pod_annotations: self.pod_annotations.unwrap_or_default(),
            },
            metadata_wait: checker.value(self.metadata_wait, default.metadata_wait, |written| {
                parse_duration(&written)
            }),
            cluster_name: self.cluster_name.filter(|name| !name.is_empty()),
            node_name: self.node_name.filter(|name| !name.is_empty()),
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
