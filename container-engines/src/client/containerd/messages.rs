//! The fields of containerd's messages that are read, and the record that its CRI keeps of a sandbox.

use crate::client::oci::value_of;
use crate::client::wire;
use serde_json::Value;

/// A container, as it stands in an answer.
pub(crate) struct Container<'a>(&'a [u8]);

impl<'a> Container<'a> {
    pub(crate) fn of_answer(answer: &'a [u8]) -> Option<Container<'a>> {
        wire::each(answer, 1).last().map(Container)
    }

    pub(crate) fn id(&self) -> &'a str {
        wire::text(self.0, 1)
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        wire::texts(self.0, 2)
    }

    pub(crate) fn image(&self) -> &'a str {
        wire::text(self.0, 3)
    }

    /// The OCI specification, as JSON.
    pub(crate) fn specification(&self) -> &'a [u8] {
        wire::message(wire::message(self.0, 5), 2)
    }

    pub(crate) fn extension(&self, name: &str) -> Option<&'a [u8]> {
        let named = wire::each(self.0, 10).find(|pair| wire::text(pair, 1) == name)?;
        Some(wire::message(wire::message(named, 2), 2))
    }
}

/// An event and where it happened.
pub(crate) struct Envelope<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) topic: &'a str,
    /// Nanoseconds since the epoch.
    pub(crate) at: Option<i64>,
    /// The container or the image that it is about.
    pub(crate) about: &'a str,
}

impl<'a> Envelope<'a> {
    pub(crate) fn of(event: &'a [u8]) -> Envelope<'a> {
        let time = wire::message(event, 1);
        let seconds = wire::number(time, 1).cast_signed().checked_mul(1_000_000_000);
        Envelope {
            namespace: wire::text(event, 2),
            topic: wire::text(event, 3),
            at: seconds.and_then(|seconds| seconds.checked_add(wire::number(time, 2).cast_signed())),
            about: wire::text(wire::message(wire::message(event, 4), 2), 1),
        }
    }
}

/// The digest of an image in an answer.
pub(crate) fn digest(answer: &[u8]) -> &str {
    wire::text(wire::message(wire::message(answer, 1), 3), 2)
}

/// What containerd's CRI stores with a container or a sandbox: how it was requested, in which no image has a part. It is
/// no part of the interface, so it may be different.
pub(crate) struct CriRequest(Value);

impl CriRequest {
    pub(crate) fn from_json(json: &[u8]) -> Option<CriRequest> {
        let mut value = value_of(json).ok()?;
        let config = value.pointer_mut("/Metadata/Config")?.take();
        config.get("metadata")?.get("name")?.as_str()?;
        Some(CriRequest(config))
    }

    /// The whole of it.
    pub(crate) fn config(&self) -> &Value {
        &self.0
    }

    /// Its name, or the namespace or uid of a sandbox.
    pub(crate) fn own(&self, key: &str) -> &str {
        let own = self.0.get("metadata").and_then(|own| own.get(key));
        own.and_then(Value::as_str).unwrap_or_default()
    }

    /// Its labels or annotations.
    pub(crate) fn texts(&self, key: &str) -> impl Iterator<Item = (&str, &str)> {
        let members = self.0.get(key).and_then(Value::as_object).into_iter().flatten();
        members.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }
}
