//! The fields of CRI's messages that are read, version `runtime.v1`.

use crate::client::wire;

pub(crate) const CONTAINER_CREATED: u64 = 0;
pub(crate) const CONTAINER_STARTED: u64 = 1;
pub(crate) const CONTAINER_DELETED: u64 = 3;

/// The state of a container in a listing.
pub(crate) const RUNNING: u64 = 1;

/// An event, as it stands in an answer.
pub(crate) struct ContainerEvent<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: u64,
    /// Of the event, nanoseconds since the epoch.
    pub(crate) at: i64,
}

impl<'a> ContainerEvent<'a> {
    pub(crate) fn of(event: &'a [u8]) -> ContainerEvent<'a> {
        ContainerEvent {
            id: wire::text(event, 1),
            kind: wire::number(event, 2),
            at: wire::number(event, 3).cast_signed(),
        }
    }
}

/// The containers of a listing, with their ids and states.
pub(crate) fn containers(listing: &[u8]) -> impl Iterator<Item = (&str, u64)> {
    wire::each(listing, 1).map(|container| (wire::text(container, 1), wire::number(container, 6)))
}

/// A container's status, as it stands in an answer.
#[derive(Clone, Copy)]
pub(crate) struct ContainerStatus<'a>(&'a [u8]);

impl<'a> ContainerStatus<'a> {
    pub(crate) fn of_answer(answer: &'a [u8]) -> Option<ContainerStatus<'a>> {
        wire::each(answer, 1).last().map(ContainerStatus)
    }

    pub(crate) fn id(self) -> &'a str {
        wire::text(self.0, 1)
    }

    pub(crate) fn name(self) -> &'a str {
        wire::text(wire::message(self.0, 2), 1)
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn started_at(self) -> i64 {
        wire::number(self.0, 5).cast_signed()
    }

    pub(crate) fn image(self) -> &'a str {
        wire::text(wire::message(self.0, 8), 1)
    }

    /// References that have a digest, if anything has one.
    pub(crate) fn image_references(self) -> [&'a str; 2] {
        [wire::text(self.0, 9), wire::text(self.0, 17)]
    }

    pub(crate) fn labels(self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        wire::texts(self.0, 12)
    }

    /// Paths on the host and in the container, and whether the container may only read there.
    pub(crate) fn mounts(self) -> impl Iterator<Item = (&'a str, &'a str, bool)> + use<'a> {
        let mounts = wire::each(self.0, 14);
        mounts.map(|mount| (wire::text(mount, 2), wire::text(mount, 1), wire::number(mount, 3) != 0))
    }
}

/// What a verbose answer adds: JSON of the engine's own kind.
pub(crate) fn details(answer: &[u8]) -> &[u8] {
    let named = wire::each(answer, 2).find(|pair| wire::text(pair, 1) == "info");
    named.map_or(&[], |pair| wire::message(pair, 2))
}

/// The sandboxes of a listing.
pub(crate) fn sandboxes(listing: &[u8]) -> impl Iterator<Item = Sandbox<'_>> {
    wire::each(listing, 1).map(Sandbox)
}

/// A pod's sandbox, as it stands in an answer.
#[derive(Clone, Copy)]
pub(crate) struct Sandbox<'a>(&'a [u8]);

impl<'a> Sandbox<'a> {
    pub(crate) fn id(self) -> &'a str {
        wire::text(self.0, 1)
    }

    /// The pod's name, namespace and uid.
    pub(crate) fn names(self) -> [&'a str; 3] {
        let own = wire::message(self.0, 2);
        [wire::text(own, 1), wire::text(own, 3), wire::text(own, 2)]
    }

    pub(crate) fn labels(self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        wire::texts(self.0, 5)
    }

    pub(crate) fn annotations(self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        wire::texts(self.0, 6)
    }
}
