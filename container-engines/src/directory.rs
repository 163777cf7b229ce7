//! Names, images and labels of containers, ready when the event thread asks.
//!
//! A [`Directory`] holds what the container engines have reported. One thread talks to all engines and fills it ahead
//! of need: from a listing when it connects, then from the engine's events. So [`Directory::get`] only reads memory and
//! never waits; an unknown id starts a question, at most one per container and engine at a time.
//!
//! Nothing that an engine does or fails to do is an error here: each answer says what is known and, if that is not all,
//! why.

use crate::cache::Budget;
use crate::client::{Client, within};
use crate::engine::Engine;
use crate::model::{
    ContainerClaim, ContainerRef, DirectoryOptions, EngineError, EngineSocket, EngineStatus, Lookup, LookupFailure,
    Place, Probed, Runtime,
};
use crate::watch::{self, Timing};
use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How many questions are queued for an engine at most.
const REQUESTS_AT_MOST: usize = 1024;

/// How many of an engine's containers are asked about to see whether it answers.
const PROBED_AT_MOST: usize = 16;

/// A handle to what is known about containers. Clones share it; the thread that talks to the engines ends when the last
/// one is dropped.
#[derive(Clone)]
pub struct Directory {
    links: Arc<[Link]>,
    thread: Arc<JoinHandle<()>>,
    /// The id of the container that this host is.
    host_container: Arc<OnceLock<String>>,
}

/// An engine and the way to ask it.
struct Link {
    engine: Arc<Engine>,
    requests: mpsc::Sender<String>,
}

impl Directory {
    /// Starts the thread that talks to the engines. None of them has to be running.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(sockets: Vec<EngineSocket>, options: DirectoryOptions) -> io::Result<Directory> {
        Directory::start_with(sockets, options, Timing::default())
    }

    fn start_with(sockets: Vec<EngineSocket>, options: DirectoryOptions, timing: Timing) -> io::Result<Directory> {
        let options = Arc::new(options);
        let budget = Arc::new(Budget::shared_by(sockets.len()));
        let mut links = Vec::new();
        let mut watches = Vec::new();
        for socket in sockets {
            let engine = Arc::new(Engine::new(socket, timing.failure_memory, &budget));
            let (requests, receiver) = mpsc::channel(REQUESTS_AT_MOST);
            watches.push(watch::watch(engine.clone(), options.clone(), receiver, timing));
            links.push(Link { engine, requests });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("engines".to_owned()).spawn(move || {
            runtime.block_on(futures_util::future::join_all(watches));
        })?;
        Ok(Directory {
            links: links.into(),
            thread: Arc::new(thread),
            host_container: Arc::default(),
        })
    }

    /// This host is a container of another one, as a node of kind is: the containers of its engines are inside of that.
    /// To be said once, before anything is asked.
    pub fn place_inside(&self, id: &str) {
        let _ = self.host_container.set(id.to_owned());
    }

    /// The thread that talks to the engines. Without any it ends at once.
    pub fn thread(&self) -> Arc<JoinHandle<()>> {
        Arc::clone(&self.thread)
    }

    /// Waits until the containers of every engine are known or the engine was found to be away, at most for `limit`.
    /// For the start, so that the first records are as complete as later ones.
    pub fn wait_until_synced(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        for link in self.links.iter() {
            link.engine.wait_until_synced(deadline);
        }
    }

    /// Asks an engine for its version, its containers and some of these themselves, and waits for the answers, for each
    /// at most for `limit`.
    ///
    /// # Errors
    /// There is no engine, or it does not answer as one.
    pub fn probe(socket: &EngineSocket, limit: Duration) -> Result<Probed, EngineError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| EngineError::Client(error.to_string()))?;
        let engine = Arc::new(Engine::new(
            socket.clone(),
            Duration::ZERO,
            &Arc::new(Budget::shared_by(1)),
        ));
        runtime.block_on(async {
            let (client, version) = Client::connect(&engine, &Arc::default(), limit).await?;
            let listed = within(limit, client.list()).await?;
            let inspections = listed
                .iter()
                .take(PROBED_AT_MOST)
                .map(|container| client.inspect(&container.id));
            let answers = within(limit, async { Ok(futures_util::future::join_all(inspections).await) }).await?;
            // One that was removed in between is no failure.
            let failure = answers.into_iter().find_map(Result::err);
            Ok(Probed {
                version,
                containers: listed.len(),
                cut_answers: engine.status().counters.cut_answers,
                failure,
            })
        })
    }

    /// What is known now. Never waits; if the container is unknown, the engines are asked about it in the background.
    ///
    /// Only an engine whose containers can be where this one is has a say: what is claimed inside another container, or
    /// in a user's part of the cgroup tree, is nothing that this host's engines know of, whatever its id says.
    pub fn get(&self, claim: ContainerClaim<'_>) -> Lookup {
        self.links
            .iter()
            .filter(|link| self.may_have(link, claim))
            .map(|link| link.get(claim.container.id))
            .reduce(Lookup::or)
            .unwrap_or(Lookup::Failed(LookupFailure::NoEngine, None))
    }

    /// Whether a claim is known to be false.
    ///
    /// A cgroup made inside a container, or by a user, may bear any id. The own containers of this host's engines are
    /// in neither place, so a claim made there to be one of them is a lie.
    pub fn refutes(&self, claim: ContainerClaim<'_>) -> bool {
        let may_be_forged = claim.nested_in.is_some() || claim.rootless_owner.is_some();
        may_be_forged
            && self
                .links
                .iter()
                .filter(|link| self.is_of_first_host(link))
                .any(|link| link.engine.is_complete(claim.container.id))
    }

    /// Grows whenever an engine of this host has said something new, so that what was concluded from its silence can be
    /// thought over. Other engines have no part in [`Self::refutes`] and [`Self::container_in`].
    pub fn revision(&self) -> u64 {
        let links = self.links.iter();
        let on_host = links.filter(|link| self.is_of_first_host(link));
        on_host.map(|link| link.engine.revision()).sum()
    }

    /// The first of these cgroups that one of this host's engines says to be its container's: its position, and which
    /// container.
    pub fn container_in(&self, paths: &[&str]) -> Option<(usize, String, Runtime)> {
        self.links
            .iter()
            .filter(|link| self.is_of_first_host(link))
            .find_map(|link| {
                let (position, id) = link.engine.in_cgroup(paths)?;
                Some((position, id, link.engine.socket.kind.runtime()))
            })
    }

    /// Every engine with the state of its connection.
    pub fn engines(&self) -> Vec<EngineStatus> {
        self.links.iter().map(|link| link.engine.status()).collect()
    }

    /// Whether the engine can know this container: by its runtime, if the path shows it, and by its place.
    fn may_have(&self, link: &Link, claim: ContainerClaim<'_>) -> bool {
        let socket = &link.engine.socket;
        if claim
            .container
            .runtime
            .is_some_and(|runtime| runtime != socket.kind.runtime())
        {
            return false;
        }
        match (&socket.place, claim.nested_in) {
            (Place::Host, Some(outermost)) => self.host_container.get().is_some_and(|id| outermost.id == *id),
            (Place::Host, None) if self.host_container.get().is_some() => false,
            (Place::Host, None) => claim.rootless_owner.is_none(),
            (Place::User(user), None) => claim.rootless_owner == Some(*user),
            (Place::Inside(name_or_id), Some(outermost)) => self.is_called(outermost, claim.rootless_owner, name_or_id),
            (Place::User(_), Some(_)) | (Place::Inside(_), None) => false,
        }
    }

    /// Whether an engine is of a host that is no container.
    fn is_of_first_host(&self, link: &Link) -> bool {
        link.engine.socket.place == Place::Host && self.host_container.get().is_none()
    }

    fn is_called(&self, outermost: ContainerRef<'_>, rootless_owner: Option<u32>, name_or_id: &str) -> bool {
        let claim = ContainerClaim {
            container: outermost,
            rootless_owner,
            nested_in: None,
        };
        outermost.id == name_or_id
            || self
                .get(claim)
                .metadata()
                .is_some_and(|metadata| metadata.name == name_or_id)
    }
}

impl Link {
    fn get(&self, id: &str) -> Lookup {
        self.engine
            .look_up(id, || self.requests.try_send(id.to_owned()).is_ok())
    }
}

#[cfg(test)]
mod tests;
