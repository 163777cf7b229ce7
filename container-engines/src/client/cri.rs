//! CRI, the interface between the kubelet and an engine: CRI-O's only one, and containerd's for pods.
//!
//! An engine that does not stream events (CRI-O unless configured to, containerd before 1.7) is listed periodically
//! instead; a container that is in no listing yet is inspected when its first process is seen.

mod messages;
mod pods;

use super::grpc::{Connection, unless_not_found};
use super::oci::{Specification, value_of};
use super::report::{EngineEvent, Listed, ListedState, describe};
use super::wire::{self, Request};
use crate::engine::Engine;
use crate::model::{self, Access, DirectoryOptions, EngineError, EngineVersion, Image, Metadata, Mount, Pod, Runtime};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use messages::{CONTAINER_CREATED, CONTAINER_DELETED, CONTAINER_STARTED, ContainerEvent, ContainerStatus, RUNNING};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, interval_at};

pub(crate) use pods::Pods;

/// How often an engine without events is listed.
const LISTED_EVERY: Duration = Duration::from_secs(2);

/// The name of the container that holds a pod's namespaces, as the kubelet's own metrics have it.
pub(crate) const SANDBOX_NAME: &str = "POD";

#[derive(Clone)]
pub(crate) struct Client {
    connection: Connection,
    engine: Arc<Engine>,
    pods: Arc<Pods>,
    runtime: Runtime,
}

impl Client {
    pub(crate) fn new(connection: Connection, engine: Arc<Engine>, options: Arc<DirectoryOptions>) -> Client {
        Client {
            runtime: engine.socket.kind.runtime(),
            pods: Arc::new(Pods::new(connection.clone(), Arc::clone(&engine), options)),
            engine,
            connection,
        }
    }

    pub(crate) async fn version(&self) -> Result<EngineVersion, EngineError> {
        let version = self
            .connection
            .call("/runtime.v1.RuntimeService/Version", None, Request::default())
            .await?;
        let text = |field| model::bounded(wire::text(&version, field));
        Ok(EngineVersion::new(
            &format!("{} {}", text(2), text(3)),
            &format!("CRI {}", text(4)),
        ))
    }

    pub(crate) fn events(&self) -> BoxStream<'static, Result<EngineEvent, EngineError>> {
        let connection = self.connection.clone();
        let events = async move {
            let answers = connection
                .stream(
                    "/runtime.v1.RuntimeService/GetContainerEvents",
                    None,
                    Request::default(),
                )
                .await;
            // The error for unsupported events differs between engines. If the engine is gone, the listing will fail.
            let Ok(mut answers) = answers else {
                return repeated_listing();
            };
            match answers.next().await {
                Some(Ok(first)) => stream::once(async move { Ok(first) })
                    .chain(answers)
                    .map(|event| match event {
                        Ok(event) => Ok(engine_event(&ContainerEvent::of(&event))),
                        Err(status) => Err(EngineError::EventsBroken(describe(&status))),
                    })
                    .boxed(),
                Some(Err(_)) | None => repeated_listing(),
            }
        };
        stream::once(events).flatten().boxed()
    }

    pub(crate) async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        let listing = self
            .connection
            .call("/runtime.v1.RuntimeService/ListContainers", None, Request::default())
            .await?;
        let containers = messages::containers(&listing).map(|(id, state)| Listed {
            state: match state {
                RUNNING => ListedState::Running,
                _ => ListedState::Other,
            },
            id: id.to_owned(),
            metadata: None,
        });
        let mut listed = Vec::new();
        for container in containers {
            if !model::is_id(&container.id) || listed.len() == model::CONTAINERS_AT_MOST {
                self.engine.count_cut_answer();
                break;
            }
            listed.push(container);
        }
        drop(listing);
        let sandboxes = self.pods.list().await?.into_iter().map(|(id, pod)| Listed {
            id,
            state: ListedState::Running,
            metadata: Some(self.sandbox(pod)),
        });
        Ok(sandboxes.chain(listed).collect())
    }

    pub(crate) async fn inspect(&self, id: &str) -> Result<Option<Metadata>, EngineError> {
        let answer = self
            .connection
            .call(
                "/runtime.v1.RuntimeService/ContainerStatus",
                None,
                Request::default().text(1, id).flag(2),
            )
            .await;
        let Some(answer) = unless_not_found(answer)? else {
            return Ok(self.pods.get(id).await?.map(|pod| self.sandbox(pod)));
        };
        let Some(status) = ContainerStatus::of_answer(&answer).filter(|status| status.id() == id) else {
            return Ok(None);
        };
        let details = Details(value_of(messages::details(&answer)).unwrap_or_default());
        let mut metadata = metadata_of_status(self.runtime, status, &details);
        let sandbox = details.sandbox().map(str::to_owned);
        // Neither is kept while another answer is awaited.
        drop((answer, details));
        if let Some(sandbox) = sandbox {
            metadata.pod = self.pods.get(&sandbox).await?.or(metadata.pod);
        }
        Ok(Some(metadata))
    }

    fn sandbox(&self, pod: Arc<Pod>) -> Metadata {
        Metadata {
            runtime: self.runtime,
            name: SANDBOX_NAME.to_owned(),
            image: Image::default(),
            labels: Vec::new(),
            cut_labels: 0,
            privileged: None,
            terminal_input: None,
            is_build: false,
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

fn engine_event(event: &ContainerEvent<'_>) -> EngineEvent {
    if !model::is_id(event.id) {
        return EngineEvent::Resync;
    }
    let id = event.id.to_owned();
    match event.kind {
        CONTAINER_CREATED => EngineEvent::Created(id, None),
        CONTAINER_STARTED => EngineEvent::Started(id, Some(event.at)),
        CONTAINER_DELETED => EngineEvent::Removed(id),
        _ => EngineEvent::Resync,
    }
}

/// For the fuzz targets.
pub(super) fn check_messages(bytes: &[u8], check: impl FnOnce(&Metadata)) {
    engine_event(&ContainerEvent::of(bytes));
    messages::containers(bytes).count();
    let alone = messages::SandboxStatus::of_answer(bytes);
    if let Some(status) = alone {
        assert!(status.addresses().is_none_or(|addresses| addresses.len() <= 4));
    }
    for sandbox in messages::sandboxes(bytes).chain(alone.map(messages::SandboxStatus::sandbox)) {
        let pod = Pod::new("", "", "", sandbox.labels(), sandbox.annotations(), &["*".to_owned()]);
        assert!(pod.labels.len() <= 64 && pod.annotations.len() <= 64);
    }
    if let Some(status) = ContainerStatus::of_answer(bytes) {
        let details = Details(value_of(messages::details(bytes)).unwrap_or_default());
        check(&metadata_of_status(Runtime::CriO, status, &details));
    }
}

/// What engines add to a verbose answer, each in its own format.
#[derive(Default)]
struct Details(Value);

impl Details {
    fn sandbox(&self) -> Option<&str> {
        self.0.get("sandboxID")?.as_str().filter(|id| model::is_id(id))
    }

    fn specification(&self) -> Option<Specification> {
        self.0.get("runtimeSpec").cloned().map(Specification::from)
    }

    /// CRI-O says it, containerd has it in its configuration, and otherwise it shows in the specification.
    fn is_privileged(&self) -> Option<bool> {
        let configured = self.0.pointer("/config/linux/security_context/privileged");
        let said = [self.0.get("privileged"), configured]
            .into_iter()
            .flatten()
            .find_map(Value::as_bool);
        said.or_else(|| Some(self.specification()?.is_privileged()))
    }
}

/// Of a container's configuration as containerd keeps it, which leaves out what is not so. CRI-O has none.
pub(crate) fn terminal_input(config: &Value) -> Option<bool> {
    let is_set = |key| config.get(key).and_then(Value::as_bool) == Some(true);
    is_set("tty").then(|| is_set("stdin"))
}

fn metadata_of_status(runtime: Runtime, status: ContainerStatus<'_>, details: &Details) -> Metadata {
    let mut image = Image::from_reference(status.image());
    for reference in status.image_references() {
        image.add_reference_digest(reference);
    }
    let specification = details.specification();
    let (labels, cut_labels) = model::bounded_labels(status.labels());
    let label = labels.iter().find(|(key, _)| key == model::CONTAINER_NAME);
    let name = label.map_or_else(|| model::bounded(status.name()), |(_, value)| value.clone());
    let mounts = status.mounts().map(|(source, destination, is_read_only)| {
        let access = if is_read_only {
            Access::ReadOnly
        } else {
            Access::ReadWrite
        };
        Mount::new(source, destination, access)
    });
    Metadata {
        runtime,
        name,
        image,
        pod: Pod::from_request(&labels).map(Arc::new),
        labels,
        cut_labels,
        privileged: details.is_privileged(),
        terminal_input: details.0.get("config").and_then(terminal_input),
        is_build: false,
        user: specification.as_ref().and_then(Specification::user),
        started: Some(status.started_at()).filter(|nanoseconds| *nanoseconds > 0),
        mounts: model::notable_mounts(mounts),
        cgroup: specification.as_ref().and_then(Specification::cgroup),
    }
}

#[cfg(test)]
mod tests;
