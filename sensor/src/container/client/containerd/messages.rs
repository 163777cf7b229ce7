//! Those of containerd's messages and fields that are read, and the record that its CRI keeps of a
//! sandbox.

use crate::container::client::grpc::{Any, Timestamp};
use prost::Message;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

#[derive(Clone, PartialEq, Message)]
pub struct Version {
    #[prost(string, tag = "1")]
    pub version: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Namespaces {
    #[prost(message, repeated, tag = "1")]
    pub namespaces: Vec<Namespace>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Namespace {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ListQuestion {
    #[prost(string, repeated, tag = "1")]
    pub filters: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ContainerQuestion {
    #[prost(string, tag = "1")]
    pub id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ContainerResponse {
    #[prost(message, optional, tag = "1")]
    pub container: Option<Container>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Container {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(map = "string, string", tag = "2")]
    pub labels: HashMap<String, String>,
    #[prost(string, tag = "3")]
    pub image: String,
    /// The OCI specification, as JSON.
    #[prost(message, optional, tag = "5")]
    pub spec: Option<Any>,
    #[prost(map = "string, message", tag = "10")]
    pub extensions: HashMap<String, Any>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ImageQuestion {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ImageResponse {
    #[prost(message, optional, tag = "1")]
    pub image: Option<StoredImage>,
}

#[derive(Clone, PartialEq, Message)]
pub struct StoredImage {
    #[prost(message, optional, tag = "3")]
    pub target: Option<Descriptor>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Descriptor {
    #[prost(string, tag = "2")]
    pub digest: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct SubscribeQuestion {
    #[prost(string, repeated, tag = "1")]
    pub filters: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Envelope {
    #[prost(message, optional, tag = "1")]
    pub timestamp: Option<Timestamp>,
    #[prost(string, tag = "2")]
    pub namespace: String,
    #[prost(string, tag = "3")]
    pub topic: String,
    #[prost(message, optional, tag = "4")]
    pub event: Option<Any>,
}

/// What creation and deletion events have in common.
#[derive(Clone, PartialEq, Message)]
pub struct ContainerChange {
    #[prost(string, tag = "1")]
    pub id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct TaskChange {
    #[prost(string, tag = "1")]
    pub container_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ImageChange {
    #[prost(string, tag = "1")]
    pub name: String,
}

/// What containerd's CRI keeps beside the container of a sandbox; not part of its interface, so it
/// may be missing or different.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SandboxExtension {
    pub metadata: SandboxMetadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SandboxMetadata {
    pub config: SandboxConfig,
}

#[derive(Debug, Deserialize)]
pub struct SandboxConfig {
    pub metadata: SandboxName,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub struct SandboxName {
    pub name: String,
    #[serde(default)]
    pub namespace: String,
    #[serde(default)]
    pub uid: String,
}

impl SandboxExtension {
    pub fn from_json(json: &[u8]) -> Option<SandboxExtension> {
        serde_json::from_slice(json).ok()
    }
}
