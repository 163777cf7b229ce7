//! Docker's interface, which Podman's socket speaks too.
//!
//! A creation event has name, image and labels before the first process runs. A request for a container that is
//! starting is answered only once it has started.

use super::report::{EngineEvent, Listed, ListedState, describe};
use crate::model::{self, Access, EngineError, EngineKind, EngineVersion, Image, Metadata, Mount, Pod};
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerSummaryStateEnum, EventMessage, MountPoint};
use bollard::query_parameters::{EventsOptionsBuilder, ListContainersOptionsBuilder};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Podman says `remove` where Docker says `destroy`.
const EVENTS: [&str; 5] = ["create", "start", "rename", "destroy", "remove"];

#[derive(Clone)]
pub(crate) struct Client {
    docker: Docker,
    kind: EngineKind,
}

impl From<Error> for EngineError {
    fn from(error: Error) -> EngineError {
        match error {
            Error::SocketNotFoundError(_) => EngineError::Absent,
            error => EngineError::Client(describe(&error)),
        }
    }
}

impl Client {
    pub(crate) fn connect(path: &str, kind: EngineKind, limit: Duration) -> Result<Client, EngineError> {
        // The client sends paths without a version, so an engine of any age answers in its newest format and no version
        // has to be negotiated. The client's own limit, in whole seconds, covers only what ours does not: the head of
        // the event stream.
        let docker = Docker::connect_with_unix(path, limit.as_secs() + 1, bollard::API_DEFAULT_VERSION)?;
        Ok(Client { docker, kind })
    }

    pub(crate) async fn version(&self) -> Result<EngineVersion, EngineError> {
        let version = self.docker.version().await?;
        Ok(EngineVersion {
            engine: version.version.unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
        })
    }

    pub(crate) async fn ping(&self) -> Result<(), EngineError> {
        self.docker.ping().await?;
        Ok(())
    }

    pub(crate) fn events(&self) -> BoxStream<'static, Result<EngineEvent, EngineError>> {
        let filters = HashMap::from([("type", vec!["container"]), ("event", EVENTS.to_vec())]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let kind = self.kind;
        self.docker
            .events(Some(options))
            .filter_map(move |event| async move {
                match event {
                    Ok(event) => engine_event(kind, event).map(Ok),
                    Err(error) => Some(Err(EngineError::EventsBroken(describe(&error)))),
                }
            })
            .boxed()
    }

    /// With stopped containers: when one is restarted, its first process runs before an answer could come.
    pub(crate) async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let containers = self.docker.list_containers(Some(options)).await?;
        let listed = containers.into_iter().filter_map(|container| {
            Some(Listed {
                id: container.id?,
                state: match container.state {
                    Some(ContainerSummaryStateEnum::RUNNING) => ListedState::Running,
                    _ => ListedState::Other,
                },
                metadata: None,
            })
        });
        Ok(listed.collect())
    }

    pub(crate) async fn inspect(&self, id: &str) -> Result<Option<Metadata>, EngineError> {
        match self.docker.inspect_container(id, None).await {
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            // A name may look like an id; only the id itself counts.
            Ok(container) if container.id.as_deref() == Some(id) => Ok(Some(metadata_of_answer(self.kind, container))),
            Ok(_) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn engine_event(kind: EngineKind, event: EventMessage) -> Option<EngineEvent> {
    let actor = event.actor?;
    let id = actor.id?;
    let attributes = actor.attributes.unwrap_or_default();
    match event.action.as_deref()? {
        "create" => Some(EngineEvent::Created(
            id,
            Some(Box::new(metadata_of_event(kind, attributes))),
        )),
        "start" => Some(EngineEvent::Started(id, event.time_nano)),
        "rename" => {
            let name = attributes.get("name")?;
            Some(EngineEvent::Renamed(id, bounded_name(name)))
        }
        "destroy" | "remove" => Some(EngineEvent::Removed(id)),
        _ => None,
    }
}

/// A creation event has the labels among its attributes; the container's name and image replace labels with these keys.
fn metadata_of_event(kind: EngineKind, mut attributes: HashMap<String, String>) -> Metadata {
    let name = attributes.remove("name").unwrap_or_default();
    let image = attributes.remove("image").unwrap_or_default();
    if kind == EngineKind::Podman {
        // Podman's own attributes, which are no labels.
        attributes.remove("containerExitCode");
        attributes.remove("podId");
    }
    let (labels, cut_labels) = model::bounded_labels(attributes);
    Metadata {
        runtime: kind.runtime(),
        name: bounded_name(&name),
        image: Image::from_reference(&image),
        pod: Pod::from_container_labels(&labels).map(Arc::new),
        labels,
        cut_labels,
        privileged: None,
        user: None,
        started: None,
        mounts: Vec::new(),
        cgroup: None,
    }
}

fn metadata_of_answer(kind: EngineKind, container: ContainerInspectResponse) -> Metadata {
    let config = container.config.unwrap_or_default();
    let mut image = Image::from_reference(&config.image.unwrap_or_default());
    image.add_digest(&container.image.unwrap_or_default());
    let (labels, cut_labels) = model::bounded_labels(config.labels.unwrap_or_default());
    let started = container.state.and_then(|state| state.started_at);
    let mounts = container.mounts.unwrap_or_default();
    let host = container.host_config.unwrap_or_default();
    Metadata {
        runtime: kind.runtime(),
        name: bounded_name(&container.name.unwrap_or_default()),
        image,
        pod: Pod::from_container_labels(&labels).map(Arc::new),
        labels,
        cut_labels,
        privileged: host.privileged,
        user: config
            .user
            .filter(|user| !user.is_empty())
            .map(|user| model::bounded(&user)),
        started: started.and_then(|started| nanoseconds(&started)),
        mounts: model::notable_mounts(mounts.into_iter().filter_map(host_mount)),
        cgroup: cgroup(kind, host.cgroup_parent.as_deref(), container.id.as_deref()),
    }
}

/// Where a container is that was given another parent than the engine's usual one. A slice's path does not show whether
/// systemd or the engine made the container's cgroup, and does not need to: it cannot have a container's name.
fn cgroup(kind: EngineKind, parent: Option<&str>, id: Option<&str>) -> Option<String> {
    let parent = parent.filter(|parent| !parent.is_empty() && !parent.ends_with(".slice"))?;
    let prefix = match kind {
        EngineKind::Podman => "libpod-",
        EngineKind::Docker | EngineKind::Containerd | EngineKind::CriO => "",
    };
    model::cgroup_path(format!("{}/{prefix}{}", parent.trim_end_matches('/'), id?))
}

/// A mount of a host path. A volume's path was chosen by the engine and is left out.
fn host_mount(mount: MountPoint) -> Option<Mount> {
    if mount.typ.as_deref() != Some("bind") {
        return None;
    }
    let access = match mount.rw {
        Some(false) => Access::ReadOnly,
        _ => Access::ReadWrite,
    };
    Some(Mount::new(&mount.source?, &mount.destination?, access))
}

fn bounded_name(name: &str) -> String {
    model::bounded(name.strip_prefix('/').unwrap_or(name))
}

/// Nanoseconds since the epoch; `None` for the year 1, which means never.
fn nanoseconds(date: &str) -> Option<i64> {
    let timestamp: jiff::Timestamp = date.parse().ok()?;
    i64::try_from(timestamp.as_nanosecond())
        .ok()
        .filter(|nanoseconds| *nanoseconds > 0)
}
