//! gRPC over a Unix socket, for containerd and CRI.
//!
//! The messages of both interfaces are declared by hand, with only the fields that are read: protobuf skips the others.
//! So no compiler for `.proto` files is needed.

use super::report::describe;
use crate::model::EngineError;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::uri::PathAndQuery;
use prost::Message;
use std::time::Duration;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// The largest answer that is accepted.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// The header that names containerd's namespace.
const NAMESPACE_HEADER: &str = "containerd-namespace";

#[derive(Clone)]
pub(crate) struct Connection {
    channel: Channel,
}

/// A message without fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Empty {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Any {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

impl Timestamp {
    /// Since the epoch.
    pub(crate) fn nanoseconds(&self) -> Option<i64> {
        self.seconds
            .checked_mul(1_000_000_000)?
            .checked_add(i64::from(self.nanos))
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
    pub(crate) async fn open(path: &str, limit: Duration) -> Result<Connection, EngineError> {
        let endpoint = Endpoint::try_from(format!("unix:{path}"))
            .map_err(|error| EngineError::Client(describe(&error)))?
            .connect_timeout(limit);
        let connected = tokio::time::timeout(limit, endpoint.connect()).await;
        let channel = connected
            .map_err(|_| EngineError::NoAnswer(limit))?
            .map_err(|error| EngineError::Client(describe(&error)))?;
        Ok(Connection { channel })
    }

    /// A unary call. `namespace` is containerd's.
    pub(crate) async fn call<Input, Output>(
        &self,
        method: &'static str,
        namespace: Option<&str>,
        input: Input,
    ) -> Result<Output, Status>
    where
        Input: Message + 'static,
        Output: Message + Default + 'static,
    {
        let mut grpc = self.ready().await?;
        let request = request(namespace, input)?;
        let codec = ProstCodec::<Input, Output>::default();
        let answer = grpc.unary(request, PathAndQuery::from_static(method), codec).await?;
        Ok(answer.into_inner())
    }

    /// A call with a stream of answers.
    pub(crate) async fn stream<Input, Output>(
        &self,
        method: &'static str,
        namespace: Option<&str>,
        input: Input,
    ) -> Result<BoxStream<'static, Result<Output, Status>>, Status>
    where
        Input: Message + 'static,
        Output: Message + Default + 'static,
    {
        let mut grpc = self.ready().await?;
        let request = request(namespace, input)?;
        let codec = ProstCodec::<Input, Output>::default();
        let answers = grpc
            .server_streaming(request, PathAndQuery::from_static(method), codec)
            .await?;
        Ok(answers.into_inner().boxed())
    }

    async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES);
        grpc.ready()
            .await
            .map_err(|error| Status::unavailable(describe(&error)))?;
        Ok(grpc)
    }
}

fn request<Input>(namespace: Option<&str>, input: Input) -> Result<Request<Input>, Status> {
    let mut request = Request::new(input);
    if let Some(namespace) = namespace {
        let value = MetadataValue::try_from(namespace)
            .map_err(|_| Status::invalid_argument("the namespace cannot be sent in a header"))?;
        request.metadata_mut().insert(NAMESPACE_HEADER, value);
    }
    Ok(request)
}
