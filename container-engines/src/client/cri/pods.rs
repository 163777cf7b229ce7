//! Pods by the ids of their sandboxes. Each is requested once, however many containers it has.

use super::messages::{self, Sandbox, SandboxStatus};
use crate::client::grpc::{Connection, unless_not_found};
use crate::client::wire::Request;
use crate::engine::Engine;
use crate::model::{self, CONTAINERS_AT_MOST, DirectoryOptions, EngineError, Pod};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tonic::{Code, Status};

/// What an engine's pods may take, in bytes: some 2,000 with a dozen labels each.
const PODS_BYTES: usize = 2 * 1024 * 1024;

const LISTING: &str = "/runtime.v1.RuntimeService/ListPodSandbox";
const STATUS: &str = "/runtime.v1.RuntimeService/PodSandboxStatus";

/// The pods of an engine.
pub(crate) struct Pods {
    connection: Connection,
    engine: Arc<Engine>,
    options: Arc<DirectoryOptions>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    pods: HashMap<String, Arc<Pod>>,
    bytes: usize,
    /// How many have found no room since those without a container were dropped.
    refused: usize,
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
        let known = self.known().pods.get(sandbox).cloned();
        if known.as_ref().is_some_and(|pod| pod.addresses.is_some()) {
            return Ok(known);
        }
        self.engine.count_further_question();
        let answer = self.ask(STATUS, Request::default().text(1, sandbox)).await;
        let answer = match unless_not_found(answer) {
            // Its addresses are all that is not known.
            Err(_) if known.is_some() => return Ok(known),
            answer => answer?.unwrap_or_default(),
        };
        // Engines match an id by its prefix.
        let found = SandboxStatus::of_answer(&answer).filter(|status| status.sandbox().id() == sandbox);
        Ok(match found {
            Some(status) => Some(self.keep(status.sandbox(), status.addresses())),
            None => known,
        })
    }

    /// All pods, with the ids of their sandboxes. Others are forgotten.
    pub(crate) async fn list(&self) -> Result<Vec<(String, Arc<Pod>)>, EngineError> {
        let answer = self.ask(LISTING, Request::default()).await?;
        let sandboxes = || {
            messages::sandboxes(&answer)
                .filter(|item| model::is_id(item.id()))
                .take(CONTAINERS_AT_MOST)
        };
        let ids: HashSet<&str> = sandboxes().map(Sandbox::id).collect();
        self.known().retain(|sandbox, _| ids.contains(sandbox));
        let mut bytes = 0;
        let kept = sandboxes().map(|item| (item.id().to_owned(), self.keep(item, None)));
        let kept = kept.take_while(|(_, pod)| {
            bytes += pod.bytes();
            bytes <= PODS_BYTES
        });
        Ok(kept.collect())
    }

    /// Adds a pod, with its name, namespace and uid, or what is new of it.
    pub(crate) fn learn<'a>(
        &self,
        sandbox: &str,
        [name, namespace, uid]: [&str; 3],
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        annotations: impl IntoIterator<Item = (&'a str, &'a str)>,
        addresses: Option<Vec<IpAddr>>,
    ) -> Arc<Pod> {
        let mut pod = Pod::new(name, namespace, uid, labels, annotations, &self.options.pod_annotations);
        pod.addresses = addresses;
        let mut known = self.known();
        if let Some(former) = known.pods.get(sandbox) {
            if pod.addresses.is_none() {
                pod.addresses.clone_from(&former.addresses);
            }
            if **former == pod {
                return former.clone();
            }
        }
        self.engine.count_cut_labels(pod.cut);
        let pod = Arc::new(pod);
        known.insert(sandbox, &pod);
        pod
    }

    fn keep(&self, sandbox: Sandbox<'_>, addresses: Option<Vec<IpAddr>>) -> Arc<Pod> {
        let (labels, annotations) = (sandbox.labels(), sandbox.annotations());
        self.learn(sandbox.id(), sandbox.names(), labels, annotations, addresses)
    }

    /// An engine without CRI has no pods.
    async fn ask(&self, method: &'static str, request: Request) -> Result<Bytes, Status> {
        let answer = self.connection.call(method, None, request).await;
        match answer {
            Err(status) if status.code() == Code::Unimplemented => Ok(Bytes::new()),
            answer => answer,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Keeps the pod, if there is room.
    fn insert(&mut self, sandbox: &str, pod: &Arc<Pod>) {
        if let Some(former) = self.pods.remove(sandbox) {
            self.bytes -= former.bytes();
        }
        if !self.has_room(pod) {
            // As rarely as there are many to look at, so that looking costs each a constant time.
            if self.refused == 0 || self.refused > self.pods.len() {
                self.retain(|_, pod| Arc::strong_count(pod) > 1);
                self.refused = 0;
            }
            self.refused += 1;
        }
        if self.has_room(pod) {
            self.bytes += pod.bytes();
            self.pods.insert(sandbox.to_owned(), Arc::clone(pod));
        }
    }

    fn has_room(&self, pod: &Pod) -> bool {
        self.pods.len() < CONTAINERS_AT_MOST && self.bytes + pod.bytes() <= PODS_BYTES
    }

    fn retain(&mut self, mut is_kept: impl FnMut(&str, &Arc<Pod>) -> bool) {
        self.pods.retain(|sandbox, pod| is_kept(sandbox, pod));
        self.bytes = self.pods.values().map(|pod| pod.bytes()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pod(labels: usize) -> Arc<Pod> {
        let value = "x".repeat(1000);
        let keys: Vec<String> = (0..labels).map(|number| number.to_string()).collect();
        let labels = keys.iter().map(|key| (key.as_str(), value.as_str()));
        Arc::new(Pod::new("web-0", "shop", "uid", labels, [], &[]))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn pods_stay_within_their_bounds_and_make_room_once_their_containers_are_gone(
            steps in prop::collection::vec((0..900_usize, 0..9_usize, any::<bool>()), 1..3000),
        ) {
            let mut known = Known::default();
            let mut containers = Vec::new();
            for (sandbox, labels, is_held) in steps {
                let pod = pod(labels);
                known.insert(&sandbox.to_string(), &pod);
                if is_held {
                    containers.push(pod);
                }
                prop_assert!(known.pods.len() <= CONTAINERS_AT_MOST && known.bytes <= PODS_BYTES);
            }
            prop_assert_eq!(known.bytes, known.pods.values().map(|pod| pod.bytes()).sum::<usize>());
            containers.clear();
            // At the latest when as many have come as there are.
            let comes = (0..known.pods.len() + 2).any(|_| {
                known.insert("new", &pod(8));
                known.pods.contains_key("new")
            });
            prop_assert!(comes);
        }
    }
}
