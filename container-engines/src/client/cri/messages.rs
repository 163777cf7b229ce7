//! The fields of CRI's messages that are read, version `runtime.v1`.

use crate::client::wire;
use std::net::IpAddr;

pub(crate) const CONTAINER_CREATED: u64 = 0;
pub(crate) const CONTAINER_STARTED: u64 = 1;
pub(crate) const CONTAINER_DELETED: u64 = 3;

/// The state of a container in a listing.
pub(crate) const RUNNING: u64 = 1;

/// The state of a sandbox.
const READY: u64 = 0;

/// A pod has one of each family.
const ADDRESSES_AT_MOST: usize = 4;

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
    wire::each(listing, 1).map(|message| Sandbox { message, labels: 5 })
}

/// A pod's sandbox, as it stands in a listing or in an answer about it alone.
#[derive(Clone, Copy)]
pub(crate) struct Sandbox<'a> {
    message: &'a [u8],
    /// The number of the field with the labels; the annotations are in the next one.
    labels: u64,
}

/// A pod's sandbox, and what only an answer about it alone says.
#[derive(Clone, Copy)]
pub(crate) struct SandboxStatus<'a>(Sandbox<'a>);

impl<'a> SandboxStatus<'a> {
    pub(crate) fn of_answer(answer: &'a [u8]) -> Option<SandboxStatus<'a>> {
        let message = wire::each(answer, 1).last()?;
        Some(SandboxStatus(Sandbox { message, labels: 7 }))
    }

    pub(crate) fn sandbox(self) -> Sandbox<'a> {
        self.0
    }

    /// The pod's addresses in the cluster; none if it is in the node's network. `None` if the sandbox is not up, and so may
    /// have some that are not told.
    pub(crate) fn addresses(self) -> Option<Vec<IpAddr>> {
        let network = wire::message(self.0.message, 5);
        let further = wire::each(network, 2).map(|address| wire::text(address, 1));
        let addresses = std::iter::once(wire::text(network, 1)).chain(further);
        let addresses = addresses.filter_map(|address| address.parse().ok());
        (wire::number(self.0.message, 3) == READY).then(|| addresses.take(ADDRESSES_AT_MOST).collect())
    }
}

impl<'a> Sandbox<'a> {
    pub(crate) fn id(self) -> &'a str {
        wire::text(self.message, 1)
    }

    /// The pod's name, namespace and uid.
    pub(crate) fn names(self) -> [&'a str; 3] {
        let own = wire::message(self.message, 2);
        [wire::text(own, 1), wire::text(own, 3), wire::text(own, 2)]
    }

    pub(crate) fn labels(self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        wire::texts(self.message, self.labels)
    }

    pub(crate) fn annotations(self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        wire::texts(self.message, self.labels + 1)
    }
}
