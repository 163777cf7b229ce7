//! One connection to an engine, from the listing to the loss.

use super::{EngineError, NobodyAsks, Timing, describe, within};
use crate::container::Runtime;
use crate::container::directory::{CONTAINERS_AT_MOST, Engine, LookupFailure};
use crate::container::metadata::{self, Image, Metadata};
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum, EventMessage};
use bollard::query_parameters::{EventsOptionsBuilder, ListContainersOptionsBuilder};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::pin;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};

/// The most questions about single containers that an engine has to answer at a time.
pub(super) const INSPECTIONS_AT_ONCE: usize = 16;

/// Docker's `destroy` is Podman's `remove`.
const EVENTS: [&str; 5] = ["create", "start", "rename", "destroy", "remove"];

pub(super) struct Session<'a> {
    engine: &'a Engine,
    docker: Docker,
    timing: Timing,
    calls: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Containers to ask about, the most urgent first.
    waiting: VecDeque<String>,
    inspections: usize,
    /// Containers that are waiting or being asked about, and what events told meanwhile, because
    /// the answer may be older than the event.
    unanswered: HashMap<String, Amendment>,
    /// What was known when the session began. What the listing lacks of it is gone; the rest is
    /// asked about again, because it may have changed in between.
    known_before: HashSet<String>,
}

enum Answer {
    Listed(Result<Vec<ContainerSummary>, EngineError>),
    Inspected(String, Result<Metadata, InspectionError>),
    Alive(Result<(), EngineError>),
}

enum InspectionError {
    NotFound,
    Other(EngineError),
}

/// News of a container that was known before.
#[derive(Clone, Default)]
struct Amendment {
    name: Option<String>,
    started: Option<i64>,
}

impl Amendment {
    fn apply(self, metadata: &mut Metadata) {
        if let Some(name) = self.name {
            metadata.name = name;
        }
        metadata.started = self.started.or(metadata.started);
    }

    fn followed_by(self, later: Amendment) -> Amendment {
        Amendment {
            name: later.name.or(self.name),
            started: later.started.or(self.started),
        }
    }
}

impl<'a> Session<'a> {
    pub fn new(engine: &'a Engine, docker: Docker, timing: Timing) -> Session<'a> {
        Session {
            engine,
            docker,
            timing,
            calls: FuturesUnordered::new(),
            waiting: VecDeque::new(),
            inspections: 0,
            unanswered: HashMap::new(),
            known_before: engine.known_ids(),
        }
    }

    /// Runs until the engine is lost or nobody holds the directory any more.
    pub async fn run(mut self, requests: &mut mpsc::Receiver<String>) -> Result<NobodyAsks, EngineError> {
        let filters = HashMap::from([("type", vec!["container"]), ("event", EVENTS.to_vec())]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let docker = self.docker.clone();
        let mut events = pin!(docker.events(Some(options)));
        let mut pings = interval_at(Instant::now() + self.timing.ping, self.timing.ping);
        self.list();
        loop {
            self.start_inspections();
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => self.take_event(event),
                    Some(Err(error)) => return Err(EngineError::EventsBroken(describe(&error))),
                    None => return Err(EngineError::EventsEnded),
                },
                request = requests.recv() => match request {
                    Some(id) => self.ask_first(id),
                    None => return Ok(NobodyAsks),
                },
                Some(answer) = self.calls.next() => self.take_answer(answer)?,
                _ = pings.tick() => self.ping(),
            }
        }
    }

    fn list(&mut self) {
        let docker = self.docker.clone();
        let limit = self.timing.call;
        // Stopped ones too: the first process of a restart comes before any answer could.
        let options = ListContainersOptionsBuilder::default().all(true).build();
        self.calls
            .push(async move { Answer::Listed(within(limit, docker.list_containers(Some(options))).await) }.boxed());
    }

    fn ping(&mut self) {
        let docker = self.docker.clone();
        let limit = self.timing.call;
        self.calls
            .push(async move { Answer::Alive(within(limit, docker.ping()).await.map(drop)) }.boxed());
    }

    fn ask_first(&mut self, id: String) {
        if self.may_ask(&id) {
            self.waiting.push_front(id);
        }
    }

    fn ask_last(&mut self, id: String) {
        if self.may_ask(&id) {
            self.waiting.push_back(id);
        }
    }

    /// Not twice at a time, and not without bounds.
    fn may_ask(&mut self, id: &str) -> bool {
        if self.unanswered.contains_key(id) {
            return false;
        }
        if self.unanswered.len() >= CONTAINERS_AT_MOST {
            self.engine.count_refused_question();
            self.engine.fail(id, LookupFailure::TooManyQuestions);
            return false;
        }
        self.unanswered.insert(id.to_owned(), Amendment::default());
        true
    }

    fn start_inspections(&mut self) {
        while self.inspections < INSPECTIONS_AT_ONCE
            && let Some(id) = self.waiting.pop_front()
        {
            self.inspections += 1;
            self.engine.count_inspection();
            let docker = self.docker.clone();
            let limit = self.timing.call;
            let runtime = self.engine.socket.runtime;
            self.calls.push(
                async move {
                    let call = async {
                        match docker.inspect_container(&id, None).await {
                            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
                            answer => answer.map(Some),
                        }
                    };
                    let answer = match within(limit, call).await {
                        // A name may look like an id; only the id itself counts.
                        Ok(Some(container)) if container.id.as_ref() == Some(&id) => {
                            Ok(metadata_of_answer(runtime, container))
                        }
                        Ok(_) => Err(InspectionError::NotFound),
                        Err(error) => Err(InspectionError::Other(error)),
                    };
                    Answer::Inspected(id, answer)
                }
                .boxed(),
            );
        }
    }

    fn take_answer(&mut self, answer: Answer) -> Result<(), EngineError> {
        match answer {
            Answer::Listed(containers) => self.take_list(containers?),
            Answer::Alive(alive) => alive?,
            Answer::Inspected(id, answer) => {
                self.inspections -= 1;
                let amendment = self.unanswered.remove(&id).unwrap_or_default();
                match answer {
                    Ok(mut metadata) => {
                        amendment.apply(&mut metadata);
                        self.engine.complete(&id, metadata);
                    }
                    Err(InspectionError::NotFound) => {
                        self.engine.fail(&id, LookupFailure::NotFound);
                    }
                    Err(InspectionError::Other(error)) => {
                        let why = LookupFailure::NoAnswer(error.to_string());
                        self.engine.fail(&id, why);
                    }
                }
            }
        }
        Ok(())
    }

    fn take_list(&mut self, containers: Vec<ContainerSummary>) {
        let (running, others): (Vec<_>, Vec<_>) = containers
            .into_iter()
            .partition(|container| container.state == Some(ContainerSummaryStateEnum::RUNNING));
        let ids: Vec<String> = running
            .into_iter()
            .chain(others)
            .filter_map(|container| container.id)
            .collect();
        let listed: HashSet<&str> = ids.iter().map(String::as_str).collect();
        for id in &self.known_before {
            if !listed.contains(id.as_str()) {
                self.engine.remove(id);
            }
        }
        for id in ids.into_iter().take(CONTAINERS_AT_MOST) {
            if self.known_before.contains(&id) || !self.engine.is_complete(&id) {
                self.engine.expect(&id, None);
                self.ask_last(id);
            }
        }
    }

    fn take_event(&mut self, event: EventMessage) {
        let Some(actor) = event.actor else { return };
        let Some(id) = actor.id else { return };
        let attributes = actor.attributes.unwrap_or_default();
        match event.action.as_deref() {
            Some("create") => {
                let metadata = metadata_of_event(self.engine.socket.runtime, attributes);
                self.engine.expect(&id, Some(metadata));
                self.ask_first(id);
            }
            Some("start") => self.amend(
                id,
                Amendment {
                    name: None,
                    started: event.time_nano,
                },
            ),
            Some("rename") => self.amend(
                id,
                Amendment {
                    name: attributes.get("name").map(|name| bounded_name(name)),
                    started: None,
                },
            ),
            Some("destroy" | "remove") => self.engine.remove(&id),
            _ => {}
        }
    }

    /// Changes what is known, now and again when a question that is out is answered. A container
    /// that was never heard of is asked about instead.
    fn amend(&mut self, id: String, news: Amendment) {
        self.engine.amend(&id, |metadata| news.clone().apply(metadata));
        match self.unanswered.get_mut(&id) {
            Some(amendment) => *amendment = std::mem::take(amendment).followed_by(news),
            None if self.engine.knows(&id) => {}
            None => {
                self.engine.expect(&id, None);
                self.ask_first(id);
            }
        }
    }
}

/// A creation event carries the labels as attributes, with the container's own name and image in
/// place of labels that are called so.
fn metadata_of_event(runtime: Runtime, mut attributes: HashMap<String, String>) -> Metadata {
    let name = attributes.remove("name").unwrap_or_default();
    let image = attributes.remove("image").unwrap_or_default();
    if runtime == Runtime::Podman {
        // Podman's own, among the labels.
        attributes.remove("containerExitCode");
        attributes.remove("podId");
    }
    let (labels, cut_labels) = metadata::bounded_labels(attributes);
    Metadata {
        runtime,
        name: bounded_name(&name),
        image: Image::from_reference(&image),
        labels,
        cut_labels,
        privileged: None,
        user: None,
        started: None,
    }
}

fn metadata_of_answer(runtime: Runtime, container: ContainerInspectResponse) -> Metadata {
    let config = container.config.unwrap_or_default();
    let mut image = Image::from_reference(&config.image.unwrap_or_default());
    image.add_digest(&container.image.unwrap_or_default());
    let (labels, cut_labels) = metadata::bounded_labels(config.labels.unwrap_or_default());
    let started = container.state.and_then(|state| state.started_at);
    Metadata {
        runtime,
        name: bounded_name(&container.name.unwrap_or_default()),
        image,
        labels,
        cut_labels,
        privileged: container.host_config.and_then(|host| host.privileged),
        user: config
            .user
            .filter(|user| !user.is_empty())
            .map(|user| metadata::bounded(&user)),
        started: started.and_then(|started| nanoseconds(&started)),
    }
}

fn bounded_name(name: &str) -> String {
    metadata::bounded(name.strip_prefix('/').unwrap_or(name))
}

/// Nanoseconds since the epoch; `None` for the year 1, which stands for never.
fn nanoseconds(date: &str) -> Option<i64> {
    let timestamp: jiff::Timestamp = date.parse().ok()?;
    i64::try_from(timestamp.as_nanosecond())
        .ok()
        .filter(|nanoseconds| *nanoseconds > 0)
}
