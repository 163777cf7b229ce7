//! One connection to an engine, whichever language it speaks.
//!
//! A [`Client`] lists an engine's containers, streams its events and inspects single containers, with the same types
//! for all engines. What is asked when, and for how long, is up to its caller. Only reading calls are made. What an
//! engine returns is bounded while it is read, before anything looks at it, and cut to size before it is kept: no answer
//! takes more than its limit in memory, and none is read faster than the engine's meter allows.

mod containerd;
mod cri;
mod docker;
pub mod fuzzing;
mod grpc;
mod json;
mod oci;
mod report;
mod socket;
mod wire;

use crate::engine::Engine;
use crate::model::{DirectoryOptions, EngineError, EngineKind, EngineVersion, Metadata};
use futures_util::stream::BoxStream;
use socket::Socket;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

pub use oci::Specification;
pub(crate) use report::{EngineEvent, Listed, ListedState};

#[derive(Clone)]
pub(crate) enum Client {
    Docker(docker::Client),
    Containerd(containerd::Client),
    Cri(cri::Client),
}

impl Client {
    /// Connects to an engine and asks for its version.
    pub(crate) async fn connect(
        engine: &Arc<Engine>,
        options: &Arc<DirectoryOptions>,
        limit: Duration,
    ) -> Result<(Client, EngineVersion), EngineError> {
        let socket = Socket::open(engine, limit).await?;
        match engine.socket.kind {
            EngineKind::Docker | EngineKind::Podman => {
                let client = docker::Client::new(socket, limit);
                let version = within(limit, client.version()).await?;
                Ok((Client::Docker(client), version))
            }
            EngineKind::Containerd => {
                let connection = grpc::Connection::open(socket, limit).await?;
                let client = containerd::Client::new(connection, engine.clone(), options.clone());
                let version = within(limit, client.version()).await?;
                Ok((Client::Containerd(client), version))
            }
            EngineKind::CriO => {
                let connection = grpc::Connection::open(socket, limit).await?;
                let client = cri::Client::new(connection, engine.clone(), options.clone());
                let version = within(limit, client.version()).await?;
                Ok((Client::Cri(client), version))
            }
        }
    }

    /// The engine's events from now on. The stream ends only with an error or when the engine ends it.
    pub(crate) fn events(&self) -> BoxStream<'static, Result<EngineEvent, EngineError>> {
        match self {
            Client::Docker(client) => client.events(),
            Client::Containerd(client) => client.events(),
            Client::Cri(client) => client.events(),
        }
    }

    pub(crate) async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        match self {
            Client::Docker(client) => client.list().await,
            Client::Containerd(client) => client.list().await,
            Client::Cri(client) => client.list().await,
        }
    }

    /// All that the engine knows about the container with exactly this id; `None` if there is none.
    pub(crate) async fn inspect(&self, id: &str) -> Result<Option<Metadata>, EngineError> {
        match self {
            Client::Docker(client) => client.inspect(id).await,
            Client::Containerd(client) => client.inspect(id).await,
            Client::Cri(client) => client.inspect(id).await,
        }
    }

    /// Whether the engine still answers.
    pub(crate) async fn ping(&self) -> Result<(), EngineError> {
        match self {
            Client::Docker(client) => client.ping().await,
            Client::Containerd(client) => client.version().await.map(drop),
            Client::Cri(client) => client.version().await.map(drop),
        }
    }
}

/// A call with a time limit, which covers the whole answer.
pub(crate) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    match timeout(limit, call).await {
        Ok(answer) => answer,
        Err(_) => Err(EngineError::NoAnswer(limit)),
    }
}
