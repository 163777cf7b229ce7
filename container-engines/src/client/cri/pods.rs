//! Pods by the ids of their sandboxes. Each is requested once, however many containers it has.

use super::messages::{ListPodSandboxRequest, ListPodSandboxResponse, PodSandbox, PodSandboxFilter};
use crate::client::grpc::Connection;
use crate::engine::Engine;
use crate::model::{CONTAINERS_AT_MOST, DirectoryOptions, EngineError, Pod};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tonic::{Code, Status};

/// The pods of an engine.
pub(crate) struct Pods {
    connection: Connection,
    engine: Arc<Engine>,
    options: Arc<DirectoryOptions>,
    known: Mutex<HashMap<String, Arc<Pod>>>,
}

impl Pods {
    pub(crate) fn new(connection: Connection, engine: Arc<Engine>, options: Arc<DirectoryOptions>) -> Pods {
        Pods {
            connection,
            engine,
            options,
            known: Mutex::default(),
        }
    }

    /// The pod with this sandbox; `None` if there is none, or if the engine has no pods at all.
    pub(crate) async fn get(&self, sandbox: &str) -> Result<Option<Arc<Pod>>, EngineError> {
        if let Some(pod) = self.known().get(sandbox) {
            return Ok(Some(pod.clone()));
        }
        self.engine.count_further_question();
        let filter = PodSandboxFilter { id: sandbox.to_owned() };
        let sandboxes = self.ask(Some(filter)).await?;
        // Engines match an id by its prefix.
        let found = sandboxes.into_iter().find(|item| item.id == sandbox);
        Ok(found.map(|item| self.keep(item)))
    }

    /// All pods, with the ids of their sandboxes. Others are forgotten.
    pub(crate) async fn list(&self) -> Result<Vec<(String, Arc<Pod>)>, EngineError> {
        let sandboxes = self.ask(None).await?;
        let ids: HashSet<&str> = sandboxes.iter().map(|item| item.id.as_str()).collect();
        self.known().retain(|sandbox, _| ids.contains(sandbox.as_str()));
        let kept = sandboxes.into_iter().take(CONTAINERS_AT_MOST);
        Ok(kept.map(|item| (item.id.clone(), self.keep(item))).collect())
    }

    /// Adds a pod, with its name, namespace and uid.
    pub(crate) fn learn(
        &self,
        sandbox: &str,
        (name, namespace, uid): (&str, &str, &str),
        labels: impl IntoIterator<Item = (String, String)>,
        annotations: impl IntoIterator<Item = (String, String)>,
    ) -> Arc<Pod> {
        let annotations = annotations.into_iter().collect();
        let pod = Pod::new(name, namespace, uid, labels, annotations, &self.options.pod_annotations);
        let mut known = self.known();
        if let Some(same) = known.get(sandbox).filter(|known| ***known == pod) {
            return same.clone();
        }
        self.engine.count_cut_labels(pod.cut);
        let pod = Arc::new(pod);
        if known.len() >= CONTAINERS_AT_MOST {
            // Drop those without a known container.
            known.retain(|_, pod| Arc::strong_count(pod) > 1);
        }
        if known.len() < CONTAINERS_AT_MOST {
            known.insert(sandbox.to_owned(), pod.clone());
        }
        pod
    }

    fn keep(&self, sandbox: PodSandbox) -> Arc<Pod> {
        let name = sandbox.metadata.unwrap_or_default();
        let names = (name.name.as_str(), name.namespace.as_str(), name.uid.as_str());
        self.learn(&sandbox.id, names, sandbox.labels, sandbox.annotations)
    }

    /// An engine without CRI has no pods.
    async fn ask(&self, filter: Option<PodSandboxFilter>) -> Result<Vec<PodSandbox>, Status> {
        let request = ListPodSandboxRequest { filter };
        let answer: Result<ListPodSandboxResponse, Status> = self
            .connection
            .call("/runtime.v1.RuntimeService/ListPodSandbox", None, request)
            .await;
        match answer {
            Err(status) if status.code() == Code::Unimplemented => Ok(Vec::new()),
            answer => Ok(answer?.items),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Pod>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
