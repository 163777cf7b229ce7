//! One connection to an engine, whichever language it speaks.
//!
//! A [`Client`] lists an engine's containers, tells of changes and answers questions about single
//! ones, all in the same terms; [`super::watch`] decides what is asked when, and for how long. Only
//! reading calls are made. What an engine says is cut to size here, before it is kept.

mod containerd;
mod cri;
mod docker;
mod grpc;
pub mod oci;

use super::engine::{Engine, EngineError, EngineKind, EngineSocket, EngineVersion};
use super::{DirectoryOptions, Metadata};
use futures_util::stream::BoxStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The longest text of an engine's error that is shown, in bytes.
const REASON_BYTES: usize = 300;

/// What an engine tells of its own accord.
#[derive(Debug)]
pub(super) enum News {
    /// A container was made; with what is told of it already, if anything.
    Created(String, Option<Box<Metadata>>),
    /// Nanoseconds since the epoch.
    Started(String, Option<i64>),
    Renamed(String, String),
    Removed(String),
    /// Something may have changed; only a listing tells what.
    Unclear,
}

/// A container as a listing shows it.
pub(super) struct Listed {
    pub id: String,
    pub state: ListedState,
    /// Where the listing tells all that there is.
    pub metadata: Option<Metadata>,
}

/// Those that run are asked about first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ListedState {
    Running,
    Other,
}

#[derive(Clone)]
pub(super) enum Client {
    Docker(docker::Client),
    Containerd(containerd::Client),
    Cri(cri::Client),
}

impl Client {
    /// Reaches an engine and asks what it is.
    pub async fn connect(
        engine: &Arc<Engine>,
        options: &Arc<DirectoryOptions>,
        limit: Duration,
    ) -> Result<(Client, EngineVersion), EngineError> {
        let path = path_of(&engine.socket)?;
        match engine.socket.kind {
            EngineKind::Docker | EngineKind::Podman => {
                let client = docker::Client::connect(path, engine.socket.kind, limit)?;
                let version = within(limit, client.version()).await?;
                Ok((Client::Docker(client), version))
            }
            EngineKind::Containerd => {
                let connection = grpc::Connection::open(path, limit).await?;
                let client = containerd::Client::new(connection, engine.clone(), options.clone());
                let version = within(limit, client.version()).await?;
                Ok((Client::Containerd(client), version))
            }
            EngineKind::CriO => {
                let connection = grpc::Connection::open(path, limit).await?;
                let client = cri::Client::new(connection, engine.clone(), options.clone());
                let version = within(limit, client.version()).await?;
                Ok((Client::Cri(client), version))
            }
        }
    }

    /// Changes from now on. Ends only with an error or when the engine ends it.
    pub fn news(&self) -> BoxStream<'static, Result<News, EngineError>> {
        match self {
            Client::Docker(client) => client.news(),
            Client::Containerd(client) => client.news(),
            Client::Cri(client) => client.news(),
        }
    }

    pub async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        match self {
            Client::Docker(client) => client.list().await,
            Client::Containerd(client) => client.list().await,
            Client::Cri(client) => client.list().await,
        }
    }

    /// All that the engine knows of the container with this very id; `None` if there is none.
    pub async fn inspect(&self, id: &str) -> Result<Option<Metadata>, EngineError> {
        match self {
            Client::Docker(client) => client.inspect(id).await,
            Client::Containerd(client) => client.inspect(id).await,
            Client::Cri(client) => client.inspect(id).await,
        }
    }

    /// Whether the engine still answers.
    pub async fn ping(&self) -> Result<(), EngineError> {
        match self {
            Client::Docker(client) => client.ping().await,
            Client::Containerd(client) => client.version().await.map(drop),
            Client::Cri(client) => client.version().await.map(drop),
        }
    }
}

/// Asks an engine what it is and waits for the answer, at most for `limit`.
///
/// # Errors
/// There is no engine, or it does not answer as one.
pub fn probe(socket: &EngineSocket, limit: Duration) -> Result<EngineVersion, EngineError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| EngineError::Client(error.to_string()))?;
    let engine = Arc::new(Engine::new(socket.clone(), Duration::ZERO));
    runtime.block_on(async {
        let (_, version) = Client::connect(&engine, &Arc::default(), limit).await?;
        Ok(version)
    })
}

/// The socket's path, if something is there.
fn path_of(socket: &EngineSocket) -> Result<&str, EngineError> {
    let path: &Path = &socket.path;
    match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(EngineError::Absent),
        _ => path.to_str().ok_or(EngineError::PathNotUtf8),
    }
}

/// One call with its time limit, which covers the whole answer.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    match timeout(limit, call).await {
        Ok(answer) => answer,
        Err(_) => Err(EngineError::NoAnswer(limit)),
    }
}

/// The error with its causes, bounded and without control characters.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text.retain(|character| !character.is_control());
    text.truncate(text.floor_char_boundary(REASON_BYTES));
    text
}
