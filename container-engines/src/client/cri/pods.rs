//! Pods by the ids of their sandboxes. Each is requested once, however many containers it has.

use super::messages::{self, Sandbox};
use crate::client::grpc::Connection;
use crate::client::wire::Request;
use crate::engine::Engine;
use crate::model::{self, CONTAINERS_AT_MOST, DirectoryOptions, EngineError, Pod};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tonic::{Code, Status};

/// What an engine's pods may take, in bytes: some 2,000 with a dozen labels each.
const PODS_BYTES: usize = 2 * 1024 * 1024;

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
        let filter = Request::default().text(1, sandbox);
        let sandboxes = self.ask(Request::default().bytes(1, &filter.0)).await?;
        // Engines match an id by its prefix.
        let found = messages::sandboxes(&sandboxes).find(|item| item.id() == sandbox);
        Ok(found.map(|item| self.keep(item)))
    }

    /// All pods, with the ids of their sandboxes. Others are forgotten.
    pub(crate) async fn list(&self) -> Result<Vec<(String, Arc<Pod>)>, EngineError> {
        let answer = self.ask(Request::default()).await?;
        let sandboxes = || {
            messages::sandboxes(&answer)
                .filter(|item| model::is_id(item.id()))
                .take(CONTAINERS_AT_MOST)
        };
        let ids: HashSet<&str> = sandboxes().map(Sandbox::id).collect();
        self.known().retain(|sandbox, _| ids.contains(sandbox.as_str()));
        let mut bytes = 0;
        let kept = sandboxes().map(|item| (item.id().to_owned(), self.keep(item)));
        let kept = kept.take_while(|(_, pod)| {
            bytes += pod.bytes();
            bytes <= PODS_BYTES
        });
        Ok(kept.collect())
    }

    /// Adds a pod, with its name, namespace and uid.
    pub(crate) fn learn<'a>(
        &self,
        sandbox: &str,
        [name, namespace, uid]: [&str; 3],
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        annotations: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Arc<Pod> {
        let pod = Pod::new(name, namespace, uid, labels, annotations, &self.options.pod_annotations);
        let mut known = self.known();
        if let Some(same) = known.get(sandbox).filter(|known| ***known == pod) {
            return same.clone();
        }
        self.engine.count_cut_labels(pod.cut);
        let pod = Arc::new(pod);
        known.remove(sandbox);
        let has_room = |known: &HashMap<String, Arc<Pod>>| {
            let taken: usize = known.values().map(|pod| pod.bytes()).sum();
            known.len() < CONTAINERS_AT_MOST && taken + pod.bytes() <= PODS_BYTES
        };
        if !has_room(&known) {
            // Drop those without a known container.
            known.retain(|_, pod| Arc::strong_count(pod) > 1);
        }
        if has_room(&known) {
            known.insert(sandbox.to_owned(), pod.clone());
        }
        pod
    }

    fn keep(&self, sandbox: Sandbox<'_>) -> Arc<Pod> {
        self.learn(sandbox.id(), sandbox.names(), sandbox.labels(), sandbox.annotations())
    }

    /// An engine without CRI has no pods.
    async fn ask(&self, request: Request) -> Result<Bytes, Status> {
        let answer = self
            .connection
            .call("/runtime.v1.RuntimeService/ListPodSandbox", None, request)
            .await;
        match answer {
            Err(status) if status.code() == Code::Unimplemented => Ok(Bytes::new()),
            answer => answer,
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Pod>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
