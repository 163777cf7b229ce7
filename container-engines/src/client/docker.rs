//! Docker's interface, which Podman's socket speaks too.
//!
//! A creation event has name, image and labels before the first process runs. A request for a container that is
//! starting is answered only once it has started.
//!
//! Each question has a connection of its own. Paths have no version in them, so an engine of any age answers in its newest
//! format. Every member of an answer is looked at for itself: an odd one costs itself, and an odd container no other.

use super::json::{Read, Reader, Shape};
use super::report::{EngineEvent, Listed, ListedState, describe};
use super::socket::Socket;
use super::within;
use crate::meter;
use crate::model::{
    self, Access, CONTAINERS_AT_MOST, EngineError, EngineKind, EngineVersion, Image, Metadata, Mount, Pod,
};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Podman says `remove` where Docker says `destroy`.
const EVENTS: &str = r#"{"type":["container"],"event":["create","start","rename","destroy","remove"]}"#;

/// The most that is read of an answer: a listing of some 10,000 containers, or one with as many labels as an image can have.
const ANSWER_BYTES: u64 = 16 * 1024 * 1024;
/// The head of an answer and its headers.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS_AT_MOST: usize = 64;

#[derive(Clone)]
pub(crate) struct Client {
    socket: Socket,
    kind: EngineKind,
    /// How long an answer may take.
    limit: Duration,
}

impl From<hyper::Error> for EngineError {
    fn from(error: hyper::Error) -> EngineError {
        EngineError::Client(describe(&error))
    }
}

/// An answer that is being read, and the task of its connection, which ends with it.
struct Answer {
    status: StatusCode,
    body: Incoming,
    _connection: Task,
}

struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Client {
    pub(crate) fn new(socket: Socket, limit: Duration) -> Client {
        let kind = socket.engine.socket.kind;
        Client { socket, kind, limit }
    }

    pub(crate) async fn version(&self) -> Result<EngineVersion, EngineError> {
        let version = self.document("/version").await?;
        let version = version.ok_or_else(|| EngineError::Client("it has no version".to_owned()))?;
        Ok(EngineVersion::new(
            text(&version, "Version"),
            text(&version, "ApiVersion"),
        ))
    }

    pub(crate) async fn ping(&self) -> Result<(), EngineError> {
        let mut answer = self.ask("/_ping", ANSWER_BYTES).await?;
        match answer.status {
            StatusCode::OK => Ok(()),
            _ => Err(answer.failure().await),
        }
    }

    pub(crate) fn events(&self) -> BoxStream<'static, Result<EngineEvent, EngineError>> {
        let client = self.clone();
        let following = async move {
            let encoded: String = EVENTS.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let path = format!("/events?filters={encoded}");
            let mut answer = within(client.limit, client.ask(&path, u64::MAX)).await?;
            if answer.status != StatusCode::OK {
                return Err(answer.failure().await);
            }
            let follower = Follower {
                answer,
                reader: Reader::new(Shape::Values),
                begun: None,
                read: VecDeque::new(),
                client,
            };
            Ok(stream::try_unfold(follower, |mut follower| async move {
                Ok(follower.next().await?.map(|event| (event, follower)))
            }))
        };
        stream::once(following).try_flatten().boxed()
    }

    /// With stopped containers: when one is restarted, its first process runs before an answer could come.
    pub(crate) async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        let mut answer = self.ask("/containers/json?all=true", ANSWER_BYTES).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.failure().await);
        }
        let mut reader = Reader::new(Shape::Elements);
        let mut listed = Vec::new();
        let mut left = CONTAINERS_AT_MOST;
        while left > 0
            && !reader.has_ended()
            && let Some(piece) = answer.piece().await?
        {
            let read = reader.push(&piece, &mut |Read { value, .. }| {
                let container = container_of_list(&value).filter(|_| left > 0);
                left = left.saturating_sub(1);
                match container {
                    Some(container) => listed.push(container),
                    None => self.socket.engine.count_cut_answer(),
                }
            });
            read.map_err(|error| EngineError::Client(describe(&error)))?;
        }
        if !reader.has_ended() && left > 0 {
            return Err(EngineError::Client("its list of containers has no end".to_owned()));
        }
        Ok(listed)
    }

    pub(crate) async fn inspect(&self, id: &str) -> Result<Option<Metadata>, EngineError> {
        if !model::is_id(id) {
            return Ok(None);
        }
        let Some(container) = self.document(&format!("/containers/{id}/json")).await? else {
            return Ok(None);
        };
        match container.get("Id").and_then(Value::as_str) {
            // A name may look like an id; only the id itself counts.
            Some(own) => Ok((own == id).then(|| metadata_of_answer(self.kind, &container))),
            None => Err(EngineError::Client("the container has no id".to_owned())),
        }
    }

    /// What is at this path; `None` if there is nothing.
    async fn document(&self, path: &str) -> Result<Option<Value>, EngineError> {
        let mut answer = self.ask(path, ANSWER_BYTES).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(answer.failure().await),
        }
        let read = answer.document().await?;
        if read.is_cut {
            self.socket.engine.count_cut_answer();
        }
        Ok(Some(read.value))
    }

    /// Asks, and waits for the head of the answer. No other address is tried, whatever the answer says.
    async fn ask(&self, path: &str, limit: u64) -> Result<Answer, EngineError> {
        self.socket.engine.meter.spend(meter::QUESTION);
        self.socket.engine.meter.settle().await;
        let failed = |error: &dyn std::error::Error| EngineError::Client(describe(error));
        let connection = self.socket.connect(limit).await.map_err(|error| failed(&error))?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS_AT_MOST)
            .handshake(TokioIo::new(connection))
            .await?;
        let connection = Task(tokio::spawn(async {
            // Its end is seen by who reads the answer.
            let _ = connection.await;
        }));
        let request = Request::get(path).header(HOST, "localhost").body(Empty::<Bytes>::new());
        let answer = sender.send_request(request.map_err(|error| failed(&error))?).await?;
        Ok(Answer {
            status: answer.status(),
            body: answer.into_body(),
            _connection: connection,
        })
    }
}

impl Answer {
    async fn piece(&mut self) -> Result<Option<Bytes>, EngineError> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(piece) = frame?.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// The first value in the answer.
    async fn document(&mut self) -> Result<Read, EngineError> {
        let mut reader = Reader::new(Shape::Values);
        let mut found = None;
        while let Some(piece) = self.piece().await? {
            let read = reader.push(&piece, &mut |value| found = found.take().or(Some(value)));
            read.map_err(|error| EngineError::Client(describe(&error)))?;
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Err(EngineError::Client("the answer ends before its end".to_owned()))
    }

    /// Why there is no other answer.
    async fn failure(&mut self) -> EngineError {
        let said = self
            .document()
            .await
            .map(|read| text(&read.value, "message").to_owned());
        let why = format!(
            "answered with status {}: {}",
            self.status.as_u16(),
            said.unwrap_or_default()
        );
        EngineError::Client(model::visible(&why, super::report::REASON_BYTES))
    }
}

/// The stream of events.
struct Follower {
    client: Client,
    answer: Answer,
    reader: Reader,
    /// When the event that is being read began.
    begun: Option<Instant>,
    read: VecDeque<Value>,
}

impl Follower {
    async fn next(&mut self) -> Result<Option<EngineEvent>, EngineError> {
        let meter = &self.client.socket.engine.meter;
        loop {
            while let Some(event) = self.read.pop_front() {
                meter.spend(meter::EVENT);
                meter.settle().await;
                if let Some(event) = engine_event(self.client.kind, &event) {
                    return Ok(Some(event));
                }
            }
            let piece = match self.begun {
                None => self.answer.piece().await,
                Some(begun) => match tokio::time::timeout_at(begun + self.client.limit, self.answer.piece()).await {
                    Ok(piece) => piece,
                    Err(_) => return Err(EngineError::EventsBroken("an event has no end".to_owned())),
                },
            };
            let Some(piece) = piece.map_err(|error| EngineError::EventsBroken(error.to_string()))? else {
                return Ok(None);
            };
            let read = self.reader.push(&piece, &mut |read| {
                if read.is_cut {
                    self.client.socket.engine.count_cut_answer();
                }
                self.read.push_back(read.value);
            });
            read.map_err(|error| EngineError::EventsBroken(error.to_string()))?;
            self.begun = match (self.reader.is_within(), self.begun, self.read.is_empty()) {
                (true, Some(begun), true) => Some(begun),
                (true, _, _) => Some(Instant::now()),
                (false, _, _) => None,
            };
        }
    }
}

/// The text with this key, empty if there is none.
fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Pairs of texts; others are left out.
fn texts(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    let members = object.as_object().into_iter().flatten();
    members.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

pub(super) fn container_of_list(container: &Value) -> Option<Listed> {
    let id = text(container, "Id");
    model::is_id(id).then(|| Listed {
        id: id.to_owned(),
        state: match text(container, "State") {
            "running" => ListedState::Running,
            _ => ListedState::Other,
        },
        metadata: None,
    })
}

pub(super) fn engine_event(kind: EngineKind, event: &Value) -> Option<EngineEvent> {
    let actor = event.get("Actor")?;
    let attributes = actor.get("Attributes").unwrap_or(&Value::Null);
    let id = text(actor, "ID");
    if !model::is_id(id) {
        return None;
    }
    let id = id.to_owned();
    match text(event, "Action") {
        "create" => Some(EngineEvent::Created(
            id,
            Some(Box::new(metadata_of_event(kind, attributes))),
        )),
        "start" => Some(EngineEvent::Started(id, event.get("timeNano").and_then(Value::as_i64))),
        "rename" => {
            let name = attributes.get("name")?.as_str()?;
            Some(EngineEvent::Renamed(id, bounded_name(name)))
        }
        "destroy" | "remove" => Some(EngineEvent::Removed(id)),
        _ => None,
    }
}

/// A creation event has the labels among its attributes; the container's name and image replace labels with these keys.
fn metadata_of_event(kind: EngineKind, attributes: &Value) -> Metadata {
    let labels = texts(attributes).filter(|(key, _)| match *key {
        "name" | "image" => false,
        // Podman's own attributes, which are no labels.
        "containerExitCode" | "podId" => kind != EngineKind::Podman,
        _ => true,
    });
    let (labels, cut_labels) = model::bounded_labels(labels);
    let name = bounded_name(text(attributes, "name"));
    Metadata {
        runtime: kind.runtime(),
        pod: pod(kind, &name, &labels),
        name,
        image: Image::from_reference(text(attributes, "image")),
        labels,
        cut_labels,
        privileged: None,
        terminal_input: None,
        is_build: false,
        user: None,
        started: None,
        mounts: Vec::new(),
        cgroup: None,
    }
}

pub(super) fn metadata_of_answer(kind: EngineKind, container: &Value) -> Metadata {
    let config = container.get("Config").unwrap_or(&Value::Null);
    let mut image = Image::from_reference(text(config, "Image"));
    image.add_digest(text(container, "Image"));
    let (labels, cut_labels) = model::bounded_labels(texts(config.get("Labels").unwrap_or(&Value::Null)));
    let name = bounded_name(text(container, "Name"));
    let mounts = container.get("Mounts").and_then(Value::as_array);
    let host = container.get("HostConfig").unwrap_or(&Value::Null);
    let is_build = is_build(&name, config);
    Metadata {
        runtime: kind.runtime(),
        pod: pod(kind, &name, &labels),
        name,
        image,
        labels,
        cut_labels,
        privileged: host.get("Privileged").and_then(Value::as_bool),
        terminal_input: terminal_input(config),
        is_build,
        user: Some(text(config, "User"))
            .filter(|user| !user.is_empty())
            .map(model::bounded),
        started: container
            .pointer("/State/StartedAt")
            .and_then(Value::as_str)
            .and_then(nanoseconds),
        mounts: model::notable_mounts(mounts.into_iter().flatten().filter_map(host_mount)),
        cgroup: cgroup(kind, text(host, "CgroupParent"), text(container, "Id")),
    }
}

fn terminal_input(config: &Value) -> Option<bool> {
    let is_set = |key| config.get(key).and_then(Value::as_bool);
    is_set("Tty").filter(|tty| *tty).and_then(|_| is_set("OpenStdin"))
}

/// Whether it is a step of an image's build: Docker's builder gives each an image by its id, no entry point and no health
/// check. The kubelet does so too, under names of its own. (BuildKit's steps are no containers of the engine's.)
fn is_build(name: &str, config: &Value) -> bool {
    let checks = config.pointer("/Healthcheck/Test").and_then(Value::as_array);
    text(config, "Image").starts_with("sha256:")
        && checks.is_some_and(|checks| matches!(&checks[..], [only] if only == "NONE"))
        && config.get("Entrypoint").is_none_or(Value::is_null)
        && !name.starts_with("k8s_")
}

/// The kubelet has containers of Docker's, through dockershim and cri-dockerd, and none of Podman's.
fn pod(kind: EngineKind, name: &str, labels: &[(String, String)]) -> Option<Arc<Pod>> {
    (kind == EngineKind::Docker).then(|| Pod::of_docker(name, labels).map(Arc::new))?
}

/// Where a container is that was given another parent than the engine's usual one. A slice's path does not show whether
/// systemd or the engine made the container's cgroup, and does not need to: it cannot have a container's name.
fn cgroup(kind: EngineKind, parent: &str, id: &str) -> Option<String> {
    if parent.is_empty() || parent.ends_with(".slice") {
        return None;
    }
    let prefix = match kind {
        EngineKind::Podman => "libpod-",
        EngineKind::Docker | EngineKind::Containerd | EngineKind::CriO => "",
    };
    model::cgroup_path(format!("{}/{prefix}{}", parent.trim_end_matches('/'), id))
}

/// A mount of a host path. A volume's path was chosen by the engine and is left out.
fn host_mount(mount: &Value) -> Option<Mount> {
    let access = match mount.get("RW").and_then(Value::as_bool) {
        Some(false) => Access::ReadOnly,
        _ => Access::ReadWrite,
    };
    let path = |key| mount.get(key).and_then(Value::as_str);
    (text(mount, "Type") == "bind").then_some(())?;
    Some(Mount::new(path("Source")?, path("Destination")?, access))
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
