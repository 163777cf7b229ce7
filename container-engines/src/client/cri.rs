//! CRI, the interface between the kubelet and an engine: CRI-O's only one, and containerd's for pods.
//!
//! An engine that does not stream events (CRI-O unless configured to, containerd before 1.7) is listed periodically
//! instead; a container that is in no listing yet is inspected when its first process is seen.

mod messages;
mod pods;

use super::grpc::{Connection, unless_not_found};
use super::oci::Specification;
use super::report::{EngineEvent, Listed, ListedState, describe};
use crate::engine::Engine;
use crate::model::{self, Access, DirectoryOptions, EngineError, EngineVersion, Image, Metadata, Mount, Pod, Runtime};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use messages::{
    ContainerEventResponse, ContainerEventType, ContainerState, ContainerStatus, ContainerStatusRequest,
    ContainerStatusResponse, GetEventsRequest, ListContainersRequest, ListContainersResponse, VersionRequest,
    VersionResponse,
};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, interval_at};
use tonic::Status;

pub(crate) use pods::Pods;

/// How often an engine without events is listed.
const LISTED_EVERY: Duration = Duration::from_secs(2);

/// The name of the container that holds a pod's namespaces, as the kubelet's own metrics have it.
pub(crate) const SANDBOX_NAME: &str = "POD";

#[derive(Clone)]
pub(crate) struct Client {
    connection: Connection,
    pods: Arc<Pods>,
    runtime: Runtime,
}

impl Client {
    pub(crate) fn new(connection: Connection, engine: Arc<Engine>, options: Arc<DirectoryOptions>) -> Client {
        Client {
            runtime: engine.socket.kind.runtime(),
            pods: Arc::new(Pods::new(connection.clone(), engine, options)),
            connection,
        }
    }

    pub(crate) async fn version(&self) -> Result<EngineVersion, EngineError> {
        let request = VersionRequest {};
        let version: VersionResponse = self
            .connection
            .call("/runtime.v1.RuntimeService/Version", None, request)
            .await?;
        Ok(EngineVersion {
            engine: format!("{} {}", version.runtime_name, version.runtime_version),
            api: format!("CRI {}", version.runtime_api_version),
        })
    }

    pub(crate) fn events(&self) -> BoxStream<'static, Result<EngineEvent, EngineError>> {
        let connection = self.connection.clone();
        let events = async move {
            let answers = connection
                .stream::<_, ContainerEventResponse>(
                    "/runtime.v1.RuntimeService/GetContainerEvents",
                    None,
                    GetEventsRequest {},
                )
                .await;
            // The error for unsupported events differs between engines. If the engine is gone, the listing will fail.
            let Ok(mut answers) = answers else {
                return repeated_listing();
            };
            match answers.next().await {
                Some(Ok(first)) => stream::once(async move { Ok(first) })
                    .chain(answers)
                    .map(|event: Result<ContainerEventResponse, Status>| match event {
                        Ok(event) => Ok(engine_event(event)),
                        Err(status) => Err(EngineError::EventsBroken(describe(&status))),
                    })
                    .boxed(),
                Some(Err(_)) | None => repeated_listing(),
            }
        };
        stream::once(events).flatten().boxed()
    }

    pub(crate) async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        let request = ListContainersRequest::default();
        let containers: ListContainersResponse = self
            .connection
            .call("/runtime.v1.RuntimeService/ListContainers", None, request)
            .await?;
        let sandboxes = self.pods.list().await?;
        let listed = containers.containers.into_iter().map(|container| Listed {
            state: match ContainerState::try_from(container.state) {
                Ok(ContainerState::Running) => ListedState::Running,
                _ => ListedState::Other,
            },
            id: container.id,
            metadata: None,
        });
        let sandboxes = sandboxes.into_iter().map(|(id, pod)| Listed {
            id,
            state: ListedState::Running,
            metadata: Some(self.sandbox(pod)),
        });
        Ok(sandboxes.chain(listed).collect())
    }

    pub(crate) async fn inspect(&self, id: &str) -> Result<Option<Metadata>, EngineError> {
        let request = ContainerStatusRequest {
            container_id: id.to_owned(),
            verbose: true,
        };
        let answer: Result<ContainerStatusResponse, Status> = self
            .connection
            .call("/runtime.v1.RuntimeService/ContainerStatus", None, request)
            .await;
        let Some(answer) = unless_not_found(answer)? else {
            return Ok(self.pods.get(id).await?.map(|pod| self.sandbox(pod)));
        };
        let Some(status) = answer.status.filter(|status| status.id == id) else {
            return Ok(None);
        };
        let details = answer.info.get("info").map(String::as_str).unwrap_or_default();
        let details: Details = serde_json::from_str(details).unwrap_or_default();
        let pod = match &details.sandbox_id {
            Some(sandbox) => self.pods.get(sandbox).await?,
            None => None,
        };
        Ok(Some(metadata_of_status(self.runtime, status, &details, pod)))
    }

    fn sandbox(&self, pod: Arc<Pod>) -> Metadata {
        Metadata {
            runtime: self.runtime,
            name: SANDBOX_NAME.to_owned(),
            image: Image::default(),
            labels: Vec::new(),
            cut_labels: 0,
            privileged: None,
            user: None,
            started: None,
            mounts: Vec::new(),
            pod: Some(pod),
            cgroup: None,
        }
    }
}

fn repeated_listing() -> BoxStream<'static, Result<EngineEvent, EngineError>> {
    let ticks = interval_at(Instant::now() + LISTED_EVERY, LISTED_EVERY);
    stream::unfold(ticks, |mut ticks| async move {
        ticks.tick().await;
        Some((Ok(EngineEvent::Resync), ticks))
    })
    .boxed()
}

fn engine_event(event: ContainerEventResponse) -> EngineEvent {
    match ContainerEventType::try_from(event.container_event_type) {
        Ok(ContainerEventType::Created) => EngineEvent::Created(event.container_id, None),
        Ok(ContainerEventType::Started) => EngineEvent::Started(event.container_id, Some(event.created_at)),
        Ok(ContainerEventType::Deleted) => EngineEvent::Removed(event.container_id),
        Ok(ContainerEventType::Stopped) | Err(_) => EngineEvent::Resync,
    }
}

/// What engines add to a verbose answer, each in its own format.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    #[serde(rename = "sandboxID")]
    sandbox_id: Option<String>,
    /// CRI-O's.
    privileged: Option<bool>,
    runtime_spec: Option<Specification>,
    /// containerd's.
    config: Option<Config>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    linux: Option<ConfigLinux>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConfigLinux {
    security_context: Option<SecurityContext>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SecurityContext {
    privileged: Option<bool>,
}

impl Details {
    fn is_privileged(&self) -> Option<bool> {
        let configured = || {
            Some(
                self.config
                    .as_ref()?
                    .linux
                    .as_ref()?
                    .security_context
                    .as_ref()?
                    .privileged,
            )
        };
        self.privileged
            .or_else(|| configured().flatten())
            .or_else(|| self.runtime_spec.as_ref().map(Specification::is_privileged))
    }
}

fn metadata_of_status(runtime: Runtime, status: ContainerStatus, details: &Details, pod: Option<Arc<Pod>>) -> Metadata {
    let mut image = Image::from_reference(&status.image.unwrap_or_default().image);
    image.add_reference_digest(&status.image_ref);
    image.add_reference_digest(&status.image_id);
    let (labels, cut_labels) = model::bounded_labels(status.labels);
    let name = labels
        .iter()
        .find(|(key, _)| key == model::CONTAINER_NAME)
        .map(|(_, value)| value.clone())
        .unwrap_or_else(|| model::bounded(&status.metadata.unwrap_or_default().name));
    let mounts = status.mounts.iter().map(|mount| {
        let access = if mount.readonly {
            Access::ReadOnly
        } else {
            Access::ReadWrite
        };
        Mount::new(&mount.host_path, &mount.container_path, access)
    });
    Metadata {
        runtime,
        name,
        image,
        pod: pod.or_else(|| Pod::from_container_labels(&labels).map(Arc::new)),
        labels,
        cut_labels,
        privileged: details.is_privileged(),
        user: details.runtime_spec.as_ref().and_then(Specification::user),
        started: Some(status.started_at).filter(|nanoseconds| *nanoseconds > 0),
        mounts: model::notable_mounts(mounts),
        cgroup: details.runtime_spec.as_ref().and_then(Specification::cgroup),
    }
}

#[cfg(test)]
mod tests;
