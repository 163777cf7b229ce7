//! gRPC over a Unix socket, for containerd and CRI.
//!
//! Messages are bytes here, which [`super::wire`] reads: no compiler for `.proto` files is needed, and no more memory
//! than the message itself. Small answers are taken as they come, large ones one at a time, so that the number of
//! questions in flight does not multiply the largest answer.

use super::report::describe;
use super::socket::Socket;
use super::wire::{self, Request};
use crate::meter;
use crate::model::EngineError;
use bytes::{Buf, BufMut, Bytes};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::Uri;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// The largest answer that is taken beside others.
const SMALL_ANSWER_BYTES: usize = 256 * 1024;
/// The largest answer that is accepted: a listing of 4,000 containers with their labels and annotations.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// How much of an answer may be in flight, and of all.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// The headers of an answer.
const HEADER_BYTES: u32 = 16 * 1024;

/// The header that names containerd's namespace.
const NAMESPACE_HEADER: &str = "containerd-namespace";

#[derive(Clone)]
pub(crate) struct Connection {
    channel: Channel,
    socket: Socket,
    /// Held by who takes a large answer.
    large: Arc<Mutex<()>>,
}

/// Passes messages as they are.
#[derive(Clone, Copy)]
struct Unread;

impl Codec for Unread {
    type Encode = Request;
    type Decode = Bytes;
    type Encoder = Unread;
    type Decoder = Unread;

    fn encoder(&mut self) -> Unread {
        Unread
    }

    fn decoder(&mut self) -> Unread {
        Unread
    }
}

impl Encoder for Unread {
    type Item = Request;
    type Error = Status;

    fn encode(&mut self, request: Request, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&request.0);
        Ok(())
    }
}

impl Decoder for Unread {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let message = buffer.copy_to_bytes(buffer.remaining());
        match wire::is_whole(&message) {
            true => Ok(Some(message)),
            false => Err(Status::internal("what it says is not protobuf")),
        }
    }
}

impl From<Status> for EngineError {
    fn from(status: Status) -> EngineError {
        EngineError::Client(describe(&status))
    }
}

/// The answer, or `None` if the engine has no such thing.
pub(crate) fn unless_not_found<T>(answer: Result<T, Status>) -> Result<Option<T>, Status> {
    match answer {
        Err(status) if status.code() == Code::NotFound => Ok(None),
        answer => answer.map(Some),
    }
}

impl Connection {
    pub(crate) async fn open(socket: Socket, limit: Duration) -> Result<Connection, EngineError> {
        let failed = |error: tonic::transport::Error| EngineError::Client(describe(&error));
        // The connector knows the address; this one is what the engine is told.
        let endpoint = Endpoint::try_from("http://localhost").map_err(failed)?;
        let endpoint = endpoint
            .connect_timeout(limit)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_max_header_list_size(HEADER_BYTES);
        let connecting = socket.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let socket = connecting.clone();
            async move { Ok::<_, std::io::Error>(TokioIo::new(socket.connect(u64::MAX).await?)) }
        });
        let connected = tokio::time::timeout(limit, endpoint.connect_with_connector(connector)).await;
        let channel = connected.map_err(|_| EngineError::NoAnswer(limit))?.map_err(failed)?;
        Ok(Connection {
            channel,
            socket,
            large: Arc::default(),
        })
    }

    /// A unary call. `namespace` is containerd's.
    pub(crate) async fn call(
        &self,
        method: &'static str,
        namespace: Option<&str>,
        message: Request,
    ) -> Result<Bytes, Status> {
        match self
            .call_within(SMALL_ANSWER_BYTES, method, namespace, message.clone())
            .await
        {
            Err(status) if status.code() == Code::OutOfRange => {
                let _alone = self.large.lock().await;
                self.call_within(ANSWER_BYTES, method, namespace, message).await
            }
            answer => answer,
        }
    }

    async fn call_within(
        &self,
        bytes: usize,
        method: &'static str,
        namespace: Option<&str>,
        message: Request,
    ) -> Result<Bytes, Status> {
        let mut grpc = self.ready(bytes).await?;
        let request = request(namespace, message)?;
        let answer = grpc.unary(request, PathAndQuery::from_static(method), Unread).await?;
        Ok(answer.into_inner())
    }

    /// A call with a stream of answers, each of which costs what an event does.
    pub(crate) async fn stream(
        &self,
        method: &'static str,
        namespace: Option<&str>,
        message: Request,
    ) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
        let mut grpc = self.ready(ANSWER_BYTES).await?;
        let request = request(namespace, message)?;
        let answers = grpc
            .server_streaming(request, PathAndQuery::from_static(method), Unread)
            .await?;
        let engine = Arc::clone(&self.socket.engine);
        let paid = answers.into_inner().then(move |answer| {
            let engine = Arc::clone(&engine);
            async move {
                engine.meter.spend(meter::EVENT);
                engine.meter.settle().await;
                answer
            }
        });
        Ok(paid.boxed())
    }

    async fn ready(&self, bytes: usize) -> Result<Grpc<Channel>, Status> {
        let meter = &self.socket.engine.meter;
        meter.spend(meter::QUESTION);
        meter.settle().await;
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(bytes);
        grpc.ready()
            .await
            .map_err(|error| Status::unavailable(describe(&error)))?;
        Ok(grpc)
    }
}

fn request(namespace: Option<&str>, message: Request) -> Result<tonic::Request<Request>, Status> {
    let mut request = tonic::Request::new(message);
    if let Some(namespace) = namespace {
        let value = MetadataValue::try_from(namespace)
            .map_err(|_| Status::invalid_argument("the namespace cannot be sent in a header"))?;
        request.metadata_mut().insert(NAMESPACE_HEADER, value);
    }
    Ok(request)
}
