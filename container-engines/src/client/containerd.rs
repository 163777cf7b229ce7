//! containerd's own interface, and CRI on the same socket for what only pods have.
//!
//! A creation event names the container and its namespace; one request then returns everything, and is answered while
//! the container is still being set up. A pod's containers carry the kubelet's labels, its sandbox carries the pod's
//! own. Docker's containers are left to Docker, which knows more about them.

mod messages;

use super::cri::{Pods, SANDBOX_NAME};
use super::grpc::{Connection, Empty, unless_not_found};
use super::oci::Specification;
use super::report::{EngineEvent, Listed, ListedState, describe};
use crate::engine::Engine;
use crate::model::{self, DirectoryOptions, EngineError, EngineVersion, Image, Metadata, Pod, Runtime};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use messages::{
    Container, ContainerChange, ContainerResponse, Envelope, GetContainerRequest, GetImageRequest, GetImageResponse,
    ImageChange, ListContainersRequest, ListNamespacesResponse, SandboxExtension, SubscribeRequest, TaskChange,
    VersionResponse,
};
use prost::Message;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const EVENTS: [&str; 5] = [
    r#"topic=="/containers/create""#,
    r#"topic=="/containers/delete""#,
    r#"topic=="/tasks/start""#,
    r#"topic=="/images/update""#,
    r#"topic=="/images/delete""#,
];

/// Docker's containers, and the steps of its builds.
const NAMESPACES_LEFT_OUT: [&str; 2] = ["moby", "buildkit"];
/// Where containers may have names instead of random ids.
const DEFAULT_NAMESPACE: &str = "default";

/// How many digests of images are cached at most.
const IMAGES_AT_MOST: usize = 1024;

/// Labels and annotations that containerd's CRI gives to its containers.
const KIND: &str = "io.cri-containerd.kind";
const SANDBOX_KIND: &str = "sandbox";
const SANDBOX_ID: &str = "io.kubernetes.cri.sandbox-id";
const IMAGE_NAME: &str = "io.kubernetes.cri.image-name";
const SANDBOX_EXTENSION: &str = "io.cri-containerd.sandbox.metadata";
/// The label with a container's name in nerdctl.
const NERDCTL_NAME: &str = "nerdctl/name";

#[derive(Clone)]
pub(crate) struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    connection: Connection,
    engine: Arc<Engine>,
    pods: Pods,
    /// The namespace of each container, from events and listings.
    namespaces: Mutex<HashMap<String, String>>,
    /// Digests by namespace and name.
    images: Mutex<HashMap<(String, String), Option<String>>>,
}

impl Client {
    pub(crate) fn new(connection: Connection, engine: Arc<Engine>, options: Arc<DirectoryOptions>) -> Client {
        Client {
            shared: Arc::new(Shared {
                pods: Pods::new(connection.clone(), engine.clone(), options),
                connection,
                engine,
                namespaces: Mutex::default(),
                images: Mutex::default(),
            }),
        }
    }

    pub(crate) async fn version(&self) -> Result<EngineVersion, EngineError> {
        let version: VersionResponse = self
            .shared
            .connection
            .call("/containerd.services.version.v1.Version/Version", None, Empty {})
            .await?;
        Ok(EngineVersion {
            engine: version.version,
            api: "containerd v1".to_owned(),
        })
    }

    pub(crate) fn events(&self) -> BoxStream<'static, Result<EngineEvent, EngineError>> {
        let shared = self.shared.clone();
        let request = SubscribeRequest {
            filters: EVENTS.map(str::to_owned).to_vec(),
        };
        let events = async move {
            let events: BoxStream<'static, Result<Envelope, _>> = shared
                .connection
                .stream("/containerd.services.events.v1.Events/Subscribe", None, request)
                .await?;
            let events = events.filter_map(move |event| {
                let event = match event {
                    Ok(event) => shared.engine_event(event).map(Ok),
                    Err(status) => Some(Err(EngineError::EventsBroken(describe(&status)))),
                };
                async move { event }
            });
            Ok::<_, EngineError>(events)
        };
        stream::once(events).try_flatten().boxed()
    }

    /// Every container with its metadata.
    pub(crate) async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        let shared = &self.shared;
        shared.pods.list().await?;
        let mut listed = Vec::new();
        for namespace in shared.all_namespaces().await? {
            let request = ListContainersRequest { filters: Vec::new() };
            let mut containers = shared
                .connection
                .stream::<_, ContainerResponse>(
                    "/containerd.services.containers.v1.Containers/ListStream",
                    Some(&namespace),
                    request,
                )
                .await?;
            while let Some(answer) = containers.next().await {
                let Some(container) = answer?.container else { continue };
                if listed.len() >= model::CONTAINERS_AT_MOST {
                    continue;
                }
                if is_id(&container.id) {
                    shared.remember(&container.id, &namespace);
                }
                listed.push(Listed {
                    id: qualified(&namespace, &container.id),
                    state: ListedState::Running,
                    metadata: Some(shared.describe(&namespace, container).await?),
                });
            }
        }
        Ok(listed)
    }

    pub(crate) async fn inspect(&self, id: &str) -> Result<Option<Metadata>, EngineError> {
        let shared = &self.shared;
        let known = shared.namespaces().get(id).cloned();
        let (namespaces, id) = match (known, id.split_once('/')) {
            (Some(namespace), _) => (vec![namespace], id),
            (None, Some((namespace, name))) => (vec![namespace.to_owned()], name),
            (None, None) if is_id(id) => (shared.all_namespaces().await?, id),
            (None, None) => (vec![DEFAULT_NAMESPACE.to_owned()], id),
        };
        for namespace in &namespaces {
            let request = GetContainerRequest { id: id.to_owned() };
            let answer = shared
                .connection
                .call::<_, ContainerResponse>(
                    "/containerd.services.containers.v1.Containers/Get",
                    Some(namespace),
                    request,
                )
                .await;
            let container = unless_not_found(answer)?.and_then(|answer| answer.container);
            if let Some(container) = container.filter(|container| container.id == id) {
                if is_id(id) {
                    shared.remember(id, namespace);
                }
                return Ok(Some(shared.describe(namespace, container).await?));
            }
        }
        Ok(None)
    }
}

/// Random, and so unique on this host.
fn is_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// By what a container is known outside: names that are no ids are unique in their namespace only, and are preceded by it
/// unless it is the default one.
fn qualified(namespace: &str, id: &str) -> String {
    if is_id(id) || namespace == DEFAULT_NAMESPACE {
        id.to_owned()
    } else {
        format!("{namespace}/{id}")
    }
}

impl Shared {
    fn engine_event(&self, event: Envelope) -> Option<EngineEvent> {
        if NAMESPACES_LEFT_OUT.contains(&event.namespace.as_str()) {
            return None;
        }
        let content = event.event?.value;
        let at = event.timestamp.and_then(|at| at.nanoseconds());
        let qualified = |id: &str| qualified(&event.namespace, id);
        let change = match event.topic.as_str() {
            "/containers/create" => EngineEvent::Created(qualified(&ContainerChange::decode(&*content).ok()?.id), None),
            "/containers/delete" => EngineEvent::Removed(qualified(&ContainerChange::decode(&*content).ok()?.id)),
            "/tasks/start" => EngineEvent::Started(qualified(&TaskChange::decode(&*content).ok()?.container_id), at),
            "/images/update" | "/images/delete" => {
                let name = ImageChange::decode(&*content).ok()?.name;
                self.images().remove(&(event.namespace, name));
                return None;
            }
            _ => return None,
        };
        match &change {
            EngineEvent::Created(id, _) | EngineEvent::Started(id, _) if is_id(id) => {
                self.remember(id, &event.namespace)
            }
            EngineEvent::Removed(id) if is_id(id) && self.namespaces().get(id) != Some(&event.namespace) => {
                return None;
            }
            _ => {}
        }
        Some(change)
    }

    async fn all_namespaces(&self) -> Result<Vec<String>, EngineError> {
        self.engine.count_further_question();
        let namespaces: ListNamespacesResponse = self
            .connection
            .call("/containerd.services.namespaces.v1.Namespaces/List", None, Empty {})
            .await?;
        let names = namespaces.namespaces.into_iter().map(|namespace| namespace.name);
        Ok(names
            .filter(|name| !NAMESPACES_LEFT_OUT.contains(&name.as_str()))
            .collect())
    }

    async fn describe(&self, namespace: &str, container: Container) -> Result<Metadata, EngineError> {
        let specification = container.spec.map(|spec| spec.value).unwrap_or_default();
        let specification = Specification::from_json(&specification).unwrap_or_default();
        let (labels, cut_labels) = model::bounded_labels(container.labels);
        let label = |wanted: &str| {
            let found = labels.iter().find(|(key, _)| key == wanted);
            found.map(|(_, value)| value.as_str())
        };
        let is_sandbox = label(KIND) == Some(SANDBOX_KIND);
        let pod = if is_sandbox {
            let extension = container.extensions.get(SANDBOX_EXTENSION);
            let sandbox = extension.and_then(|extension| SandboxExtension::from_json(&extension.value));
            sandbox.map(|sandbox| self.learn(&container.id, sandbox))
        } else {
            match specification.annotation(SANDBOX_ID) {
                Some(sandbox) => self.pods.get(sandbox).await?,
                None => None,
            }
        };
        let reference = specification.annotation(IMAGE_NAME).unwrap_or(&container.image);
        let mut image = Image::from_reference(reference);
        if let Some(digest) = self.digest(namespace, &container.image).await? {
            image.add_digest(&digest);
        }
        let name = match label(model::CONTAINER_NAME).or_else(|| label(NERDCTL_NAME)) {
            _ if is_sandbox => SANDBOX_NAME,
            Some(name) => name,
            None => &container.id,
        };
        Ok(Metadata {
            runtime: Runtime::Containerd,
            name: model::bounded(name),
            image,
            pod: pod.or_else(|| Pod::from_container_labels(&labels).map(Arc::new)),
            labels,
            cut_labels,
            privileged: Some(specification.is_privileged()),
            user: specification.user(),
            started: None,
            mounts: model::notable_mounts(specification.mounts()),
            cgroup: specification.cgroup(),
        })
    }

    fn learn(&self, sandbox: &str, extension: SandboxExtension) -> Arc<Pod> {
        let config = extension.metadata.config;
        let name = config.metadata;
        let names = (name.name.as_str(), name.namespace.as_str(), name.uid.as_str());
        self.pods.learn(sandbox, names, config.labels, config.annotations)
    }

    /// The digest of an image, which is requested once.
    async fn digest(&self, namespace: &str, name: &str) -> Result<Option<String>, EngineError> {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(digest) = self.images().get(&key) {
            return Ok(digest.clone());
        }
        self.engine.count_further_question();
        let request = GetImageRequest { name: name.to_owned() };
        let answer = self
            .connection
            .call::<_, GetImageResponse>("/containerd.services.images.v1.Images/Get", Some(namespace), request)
            .await;
        let digest = unless_not_found(answer)?
            .and_then(|answer| answer.image?.target)
            .map(|target| model::bounded(&target.digest));
        let mut images = self.images();
        if images.len() >= IMAGES_AT_MOST {
            images.clear();
        }
        images.insert(key, digest.clone());
        Ok(digest)
    }

    fn remember(&self, id: &str, namespace: &str) {
        let mut namespaces = self.namespaces();
        if namespaces.len() >= 2 * model::CONTAINERS_AT_MOST {
            namespaces.clear();
        }
        namespaces.insert(id.to_owned(), namespace.to_owned());
    }

    fn namespaces(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn images(&self) -> MutexGuard<'_, HashMap<(String, String), Option<String>>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
