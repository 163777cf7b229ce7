//! containerd's own interface, and CRI on the same socket for what only pods have.
//!
//! A creation event names the container and its namespace; one request then returns everything, and is answered while
//! the container is still being set up. A pod's containers carry the kubelet's labels, its sandbox carries the pod's
//! own. Docker's containers are left to Docker, which knows more about them.

mod messages;

use super::cri::{Pods, SANDBOX_NAME, terminal_input};
use super::grpc::{Connection, unless_not_found};
use super::oci::Specification;
use super::report::{EngineEvent, Listed, ListedState, describe};
use super::wire::{self, Request};
use crate::engine::Engine;
use crate::model::{self, DirectoryOptions, EngineError, EngineVersion, Image, Metadata, Pod, Runtime};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use messages::{CriRequest, Envelope};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use messages::Container;

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

/// How many digests of images are cached at most, and how long their names may be.
const IMAGES_AT_MOST: usize = 1024;
const IMAGE_NAME_BYTES: usize = 512;
/// How many namespaces are looked into.
const NAMESPACES_AT_MOST: usize = 64;
/// How much a listing may say at once of the containers themselves; of the others it names the ids.
const LISTED_BYTES: usize = 4 * 1024 * 1024;

/// Annotations that containerd's CRI gives to its containers, and extensions, by which these are known: unlike labels, and
/// what nerdctl makes annotations of, no image can bring them along.
const SANDBOX_ID: &str = "io.kubernetes.cri.sandbox-id";
const IMAGE_NAME: &str = "io.kubernetes.cri.image-name";
const SANDBOX_EXTENSION: &str = "io.cri-containerd.sandbox.metadata";
const CONTAINER_EXTENSION: &str = "io.cri-containerd.container.metadata";
/// The label with a container's name in nerdctl, whose ids are random.
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
        let version = self
            .shared
            .connection
            .call(
                "/containerd.services.version.v1.Version/Version",
                None,
                Request::default(),
            )
            .await?;
        Ok(EngineVersion::new(wire::text(&version, 1), "containerd v1"))
    }

    pub(crate) fn events(&self) -> BoxStream<'static, Result<EngineEvent, EngineError>> {
        let shared = self.shared.clone();
        let request = EVENTS
            .iter()
            .fold(Request::default(), |request, filter| request.text(1, filter));
        let events = async move {
            let events = shared
                .connection
                .stream("/containerd.services.events.v1.Events/Subscribe", None, request)
                .await?;
            let events = events.filter_map(move |event| {
                let event = match event {
                    Ok(event) => shared.engine_event(&Envelope::of(&event)).map(Ok),
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
        let mut bytes = 0;
        for namespace in shared.all_namespaces().await? {
            let mut containers = shared
                .connection
                .stream(
                    "/containerd.services.containers.v1.Containers/ListStream",
                    Some(&namespace),
                    Request::default(),
                )
                .await?;
            while let Some(answer) = containers.next().await {
                if listed.len() >= model::CONTAINERS_AT_MOST {
                    shared.engine.count_cut_answer();
                    return Ok(listed);
                }
                let answer = answer?;
                let id = Container::of_answer(&answer).map(|container| container.id().to_owned());
                let Some(id) = id.filter(|id| model::is_id(id)) else {
                    shared.engine.count_cut_answer();
                    continue;
                };
                shared.remember(&id, &namespace);
                let metadata = if bytes < LISTED_BYTES {
                    let metadata = shared.describe(&namespace, answer).await?;
                    bytes += metadata.as_ref().map_or(0, Metadata::bytes);
                    metadata
                } else {
                    None
                };
                listed.push(Listed {
                    id: qualified(&namespace, &id),
                    state: ListedState::Running,
                    metadata,
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
            (None, None) if model::is_random_id(id) => (shared.all_namespaces().await?, id),
            (None, None) => (vec![DEFAULT_NAMESPACE.to_owned()], id),
        };
        for namespace in namespaces.iter().filter(|_| model::is_id(id)) {
            let answer = shared
                .connection
                .call(
                    "/containerd.services.containers.v1.Containers/Get",
                    Some(namespace),
                    Request::default().text(1, id),
                )
                .await;
            let Some(answer) = unless_not_found(answer)? else {
                continue;
            };
            if Container::of_answer(&answer).is_some_and(|container| container.id() == id) {
                shared.remember(id, namespace);
                return shared.describe(namespace, answer).await;
            }
        }
        Ok(None)
    }
}

/// For the fuzz targets.
pub(super) fn check_event(bytes: &[u8]) {
    let event = Envelope::of(bytes);
    assert!(event.about.len() <= bytes.len());
    CriRequest::from_json(bytes).map(|request| request.texts("labels").count());
}

/// By what a container is known outside: names that are no random ids are unique in their namespace only, and are preceded
/// by it unless it is the default one.
fn qualified(namespace: &str, id: &str) -> String {
    if model::is_random_id(id) || namespace == DEFAULT_NAMESPACE {
        id.to_owned()
    } else {
        format!("{namespace}/{id}")
    }
}

/// Docker's, the builds', and those that containerd itself would not accept.
fn is_left_out(namespace: &str) -> bool {
    NAMESPACES_LEFT_OUT.contains(&namespace) || !model::is_id(namespace)
}

/// What has still to be asked about a container.
struct Open {
    sandbox: Option<String>,
    image: String,
}

impl Shared {
    fn engine_event(&self, event: &Envelope<'_>) -> Option<EngineEvent> {
        if is_left_out(event.namespace) {
            return None;
        }
        let about = event.about;
        let qualified = || qualified(event.namespace, about);
        let change = match event.topic {
            "/containers/create" => EngineEvent::Created(qualified(), None),
            "/containers/delete" => EngineEvent::Removed(qualified()),
            "/tasks/start" => EngineEvent::Started(qualified(), event.at),
            "/images/update" | "/images/delete" => {
                self.images().remove(&(event.namespace.to_owned(), about.to_owned()));
                return None;
            }
            _ => return None,
        };
        match &change {
            _ if !model::is_id(about) => return None,
            EngineEvent::Removed(id)
                if model::is_random_id(id)
                    && self.namespaces().get(id).is_none_or(|known| known != event.namespace) =>
            {
                return None;
            }
            _ => self.remember(about, event.namespace),
        }
        Some(change)
    }

    async fn all_namespaces(&self) -> Result<Vec<String>, EngineError> {
        self.engine.count_further_question();
        let namespaces = self
            .connection
            .call(
                "/containerd.services.namespaces.v1.Namespaces/List",
                None,
                Request::default(),
            )
            .await?;
        let names = wire::each(&namespaces, 1).map(|namespace| wire::text(namespace, 1));
        let names = names.filter(|name| !is_left_out(name)).map(str::to_owned);
        Ok(names.take(NAMESPACES_AT_MOST).collect())
    }

    /// What an answer says of its container. The answer itself is not kept while others are awaited.
    async fn describe(&self, namespace: &str, answer: Bytes) -> Result<Option<Metadata>, EngineError> {
        let Some((mut metadata, open)) = self.read(&answer) else {
            return Ok(None);
        };
        drop(answer);
        if let Some(sandbox) = open.sandbox {
            metadata.pod = self.pods.get(&sandbox).await?;
        }
        if let Some(digest) = self.digest(namespace, &open.image).await? {
            metadata.image.add_digest(&digest);
        }
        Ok(Some(metadata))
    }

    fn read(&self, answer: &[u8]) -> Option<(Metadata, Open)> {
        let container = Container::of_answer(answer)?;
        let specification = Specification::from_json(container.specification()).unwrap_or_default();
        let (labels, cut_labels) = model::bounded_labels(container.labels());
        let extension = |name| Some(CriRequest::from_json(container.extension(name)?));
        let (sandbox, request) = (extension(SANDBOX_EXTENSION), extension(CONTAINER_EXTENSION));
        let annotation = |name| specification.annotation(name).filter(|_| request.is_some());
        let nerdctls = || {
            let found = labels.iter().find(|(key, _)| key == NERDCTL_NAME)?;
            model::is_random_id(container.id()).then_some(found.1.as_str())
        };
        let name = match (&sandbox, &request) {
            (Some(_), _) => Some(SANDBOX_NAME),
            (None, Some(request)) => request.as_ref().map(|request| request.own("name")),
            (None, None) => nerdctls(),
        };
        let pod = sandbox.flatten().map(|sandbox| self.learn(container.id(), &sandbox));
        let open = Open {
            sandbox: annotation(SANDBOX_ID).filter(|id| model::is_id(id)).map(str::to_owned),
            image: container.image().to_owned(),
        };
        let metadata = Metadata {
            runtime: Runtime::Containerd,
            name: model::bounded(name.unwrap_or(container.id())),
            image: Image::from_reference(annotation(IMAGE_NAME).unwrap_or(container.image())),
            pod,
            labels,
            cut_labels,
            privileged: Some(specification.is_privileged()),
            terminal_input: request
                .as_ref()
                .and_then(|request| terminal_input(request.as_ref()?.config())),
            is_build: false,
            user: specification.user(),
            started: None,
            mounts: model::notable_mounts(specification.mounts()),
            cgroup: specification.cgroup(),
        };
        Some((metadata, open))
    }

    fn learn(&self, sandbox: &str, request: &CriRequest) -> Arc<Pod> {
        let names = ["name", "namespace", "uid"].map(|key| request.own(key));
        let (labels, annotations) = (request.texts("labels"), request.texts("annotations"));
        self.pods.learn(sandbox, names, labels, annotations, None)
    }

    /// The digest of an image, which is requested once.
    async fn digest(&self, namespace: &str, name: &str) -> Result<Option<String>, EngineError> {
        if name.is_empty() || name.len() > IMAGE_NAME_BYTES {
            return Ok(None);
        }
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(digest) = self.images().get(&key) {
            return Ok(digest.clone());
        }
        self.engine.count_further_question();
        let answer = self
            .connection
            .call(
                "/containerd.services.images.v1.Images/Get",
                Some(namespace),
                Request::default().text(1, name),
            )
            .await;
        let digest = unless_not_found(answer)?.map(|answer| model::bounded(messages::digest(&answer)));
        let mut images = self.images();
        if images.len() >= IMAGES_AT_MOST {
            images.clear();
        }
        images.insert(key, digest.clone());
        Ok(digest)
    }

    /// The namespace of a container whose id does not bear it.
    fn remember(&self, id: &str, namespace: &str) {
        if !model::is_random_id(id) {
            return;
        }
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
