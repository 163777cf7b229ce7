//! Events that are kept for a match: as text, which takes a fraction of what a document does.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

/// The events of a match before its last one, oldest first.
pub(crate) type EarlierEvents = Vec<Summary>;

/// A short ECS document.
#[derive(Clone, Debug)]
pub(crate) struct Summary(Arc<str>);

impl Summary {
    pub(crate) fn of(document: &Map<String, Json>) -> Summary {
        Summary(serde_json::to_string(document).unwrap_or_default().into())
    }

    /// What it takes at most, in a list of events too.
    pub(crate) fn bytes(&self) -> usize {
        // The list doubles as it grows.
        const PLACE: usize = 4 * size_of::<Summary>();
        const ALLOCATION: usize = 2 * size_of::<usize>() + 24;
        PLACE + ALLOCATION + self.0.len()
    }

    /// The document.
    pub(crate) fn document(&self) -> Arc<Map<String, Json>> {
        Arc::new(serde_json::from_str(&self.0).unwrap_or_default())
    }
}
