//! Asking a directory, and waiting for the answer.

use crate::directory::Directory;
use crate::model::{ContainerClaim, ContainerRef, Lookup, LookupFailure, Metadata, Runtime};
use std::sync::Arc;
use std::time::Duration;

/// Longer than anything that a test waits for.
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + LONG;
    while !holds() {
        assert!(std::time::Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

pub(crate) fn claim(id: &str) -> ContainerClaim<'_> {
    ContainerClaim {
        container: docker_container(id),
        rootless_owner: None,
        nested_in: None,
    }
}

pub(crate) fn docker_container(id: &str) -> ContainerRef<'_> {
    ContainerRef {
        id,
        runtime: Some(Runtime::Docker),
    }
}

/// The answer, once it is there.
pub(crate) fn settled(directory: &Directory, claim: ContainerClaim<'_>) -> Lookup {
    until("an answer", || !matches!(directory.get(claim), Lookup::Pending(_)));
    directory.get(claim)
}

#[track_caller]
pub(crate) fn complete(directory: &Directory, id: &str) -> Arc<Metadata> {
    match settled(directory, claim(id)) {
        Lookup::Complete(metadata) => metadata,
        other => panic!("not complete: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn failure(directory: &Directory, id: &str) -> LookupFailure {
    match settled(directory, claim(id)) {
        Lookup::Failed(why, _) => why,
        other => panic!("not failed: {other:?}"),
    }
}

pub(crate) fn name(directory: &Directory, id: &str) -> Option<String> {
    let lookup = directory.get(claim(id));
    lookup.metadata().map(|metadata| metadata.name.clone())
}
