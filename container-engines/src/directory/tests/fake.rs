//! A fake engine on a real socket.

use super::asking::until;
use crate::directory::Directory;
use crate::model::{DirectoryOptions, EngineKind, EngineSocket, EngineState};
use crate::watch::Timing;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Short enough for tests, long enough for a busy machine where a test expects an answer.
pub(crate) const LONG_TIMEOUTS: Timing = Timing {
    call: Duration::from_secs(20),
    ping: Duration::from_secs(20),
    first_pause: Duration::from_millis(10),
    longest_pause: Duration::from_millis(40),
    steady: Duration::from_secs(20),
    failure_memory: Duration::from_secs(600),
};

/// For tests in which the engine does not answer.
pub(crate) const SHORT_TIMEOUTS: Timing = Timing {
    call: Duration::from_millis(200),
    ..LONG_TIMEOUTS
};

#[derive(Clone)]
pub(crate) enum Answer {
    Usual,
    /// Never, but the connection stays.
    Hang,
    /// What the answer is now, but only when it is let go.
    Hold,
    Text(&'static str),
    Failure(&'static str),
    /// The connection breaks in the middle of the answer.
    Break,
    /// This again and again, as fast as it is read.
    Endless(&'static str),
    /// A byte of the answer now and then.
    Drip,
}

pub(crate) struct Fake {
    folder: TempDir,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Id to what `inspect` says.
    containers: BTreeMap<String, serde_json::Value>,
    /// What else stands in a listing.
    listed: Vec<serde_json::Value>,
    /// Answers by a part of the path.
    answers: Vec<(String, Answer)>,
    /// Paths in the order they were asked.
    asked: Vec<String>,
    /// Connections that follow the events.
    followers: Vec<UnixStream>,
    /// Connections that are kept waiting.
    hanging: Vec<UnixStream>,
    /// The paths of those among them that get an answer in the end, as it was when they asked.
    held: Vec<(UnixStream, String)>,
}

impl Fake {
    /// An engine that is not started yet.
    pub(crate) fn new() -> Fake {
        Fake {
            folder: TempDir::new().expect("temporary folder"),
            state: Arc::default(),
        }
    }

    pub(crate) fn started() -> Fake {
        let fake = Fake::new();
        fake.start();
        fake
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    pub(crate) fn start(&self) {
        let listener = UnixListener::bind(self.path()).expect("socket");
        let state = self.state.clone();
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let state = state.clone();
                thread::spawn(move || serve(connection, &state));
            }
        });
    }

    /// No new connections, and the old ones break.
    pub(crate) fn vanish(&self) {
        std::fs::remove_file(self.path()).expect("socket");
        self.end_events();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test thread panicked")
    }

    pub(crate) fn directory(&self, timing: Timing) -> Directory {
        let socket = EngineSocket::on_host(EngineKind::Docker, self.path());
        Directory::start_with(vec![socket], DirectoryOptions::default(), timing).expect("thread")
    }

    /// A directory that has listed the containers and follows the events.
    pub(crate) fn connected(&self, timing: Timing) -> Directory {
        let directory = self.directory(timing);
        self.until_followed(1);
        directory
    }

    pub(crate) fn until_followed(&self, times: usize) {
        until("the events are followed", || {
            self.times_asked("/events") >= times
                && self.times_asked("/containers/json") >= times
                && !self.state().followers.is_empty()
        });
    }

    pub(crate) fn add(&self, id: &str, name: &str) {
        self.add_as(
            id,
            serde_json::json!({
                "Id": id,
                "Name": format!("/{name}"),
                "Image": "sha256:1234",
                "State": { "Status": "running", "StartedAt": "0001-01-01T00:00:00Z" },
                "HostConfig": { "Privileged": false },
                "Config": { "Image": "busybox:1", "User": "", "Labels": {} },
            }),
        );
    }

    pub(crate) fn add_as(&self, id: &str, inspection: serde_json::Value) {
        self.state().containers.insert(id.to_owned(), inspection);
    }

    pub(crate) fn list_also(&self, entry: serde_json::Value) {
        self.state().listed.push(entry);
    }

    pub(crate) fn forget(&self, id: &str) {
        self.state().containers.remove(id);
    }

    /// The latest answer for a path counts.
    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.state().answers.push((path.to_owned(), answer));
    }

    pub(crate) fn times_asked(&self, path: &str) -> usize {
        let state = self.state();
        state.asked.iter().filter(|asked| asked.contains(path)).count()
    }

    pub(crate) fn hanging(&self) -> usize {
        self.state().hanging.len()
    }

    pub(crate) fn release(&self) {
        self.state().hanging.clear();
    }

    /// Answers those that are held.
    pub(crate) fn let_go(&self) {
        for (mut connection, answer) in self.state().held.drain(..) {
            respond(&mut connection, "200 OK", &answer).expect("a connection");
        }
        self.release();
    }

    pub(crate) fn emit(&self, action: &str, id: &str, attributes: serde_json::Value) {
        let event = serde_json::json!({
            "Type": "container",
            "Action": action,
            "Actor": { "ID": id, "Attributes": attributes },
            "timeNano": 1_700_000_000_000_000_001_i64,
        });
        self.emit_raw(&format!("{event}\n"));
    }

    pub(crate) fn emit_raw(&self, text: &str) {
        for follower in &mut self.state().followers {
            follower.write_all(text.as_bytes()).expect("follower");
        }
    }

    pub(crate) fn end_events(&self) {
        for follower in self.state().followers.drain(..) {
            follower.shutdown(std::net::Shutdown::Both).expect("follower");
        }
    }

    /// Waits until the other side has closed the stream of events.
    pub(crate) fn until_unfollowed(&self) {
        let mut follower = self.state().followers.pop().expect("follower");
        follower
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("timeout");
        let mut rest = Vec::new();
        follower.read_to_end(&mut rest).expect("end of stream");
    }
}

pub(crate) fn state_of(directory: &Directory) -> EngineState {
    directory.engines()[0].state.clone()
}

fn serve(connection: UnixStream, state: &Mutex<State>) -> Option<()> {
    let mut lines = BufReader::new(connection.try_clone().ok()?).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    while !lines.next()?.ok()?.is_empty() {}
    let mut connection = connection;
    let mut state = state.lock().ok()?;
    state.asked.push(path.clone());
    let answer = state
        .answers
        .iter()
        .rev()
        .find(|(piece, _)| path.contains(piece.as_str()))
        .map_or(Answer::Usual, |(_, answer)| answer.clone());
    match answer {
        Answer::Hang => state.hanging.push(connection),
        Answer::Hold => {
            let id = path.strip_prefix("/containers/")?.strip_suffix("/json")?;
            let answer = state.containers.get(id)?.to_string();
            state.held.push((connection.try_clone().ok()?, answer));
            state.hanging.push(connection);
        }
        Answer::Text(text) => respond(&mut connection, "200 OK", text)?,
        Answer::Failure(text) => respond(&mut connection, "500 Internal Server Error", text)?,
        Answer::Break => connection
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"Id\":")
            .ok()?,
        Answer::Endless(text) => {
            drop(state);
            connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
            let text = text.repeat(1 + 4096 / text.len());
            while connection.write_all(text.as_bytes()).is_ok() {}
        }
        Answer::Drip => {
            drop(state);
            for byte in b"HTTP/1.1 200 OK\r\n\r\n{\"Id\":\""
                .iter()
                .chain(std::iter::repeat(&b'x'))
            {
                connection.write_all(&[*byte]).ok()?;
                thread::sleep(Duration::from_millis(20));
            }
        }
        Answer::Usual => usual(&mut state, connection, &path)?,
    }
    Some(())
}

fn usual(state: &mut State, mut connection: UnixStream, path: &str) -> Option<()> {
    if path.starts_with("/events") {
        connection
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            .ok()?;
        state.followers.push(connection);
        return Some(());
    }
    if path.starts_with("/version") {
        let version = r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#;
        return respond(&mut connection, "200 OK", version);
    }
    if path.starts_with("/_ping") {
        return respond(&mut connection, "200 OK", "OK");
    }
    if path.starts_with("/containers/json") {
        let list: Vec<_> = state
            .containers
            .keys()
            .map(|id| serde_json::json!({ "Id": id, "State": "running" }))
            .chain(state.listed.iter().cloned())
            .collect();
        return respond(&mut connection, "200 OK", &serde_json::to_string(&list).ok()?);
    }
    let id = path.strip_prefix("/containers/")?.strip_suffix("/json")?;
    match state.containers.get(id) {
        Some(container) => respond(&mut connection, "200 OK", &container.to_string()),
        None => respond(&mut connection, "404 Not Found", r#"{"message":"No such container"}"#),
    }
}

fn respond(connection: &mut UnixStream, status: &str, body: &str) -> Option<()> {
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .ok()
}
