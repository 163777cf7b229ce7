//! The document of an event: one, however many alerts are about it.

use std::ops::Deref;
use std::sync::Arc;

use crate::text::document::{self, Document};

/// An event's document, shared by its alerts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SharedEvent(Arc<Shared>);

#[derive(Clone, Debug, PartialEq)]
struct Shared {
    document: Document,
    memory: usize,
}

impl From<Document> for SharedEvent {
    fn from(document: Document) -> Self {
        let memory = document::memory(&document);
        SharedEvent(Arc::new(Shared { document, memory }))
    }
}

impl SharedEvent {
    /// The memory that it takes, about; nothing where an alert that waits has it already, beside whoever makes them.
    pub(super) fn memory(&self) -> usize {
        if Arc::strong_count(&self.0) > 2 {
            return 0;
        }
        self.0.memory
    }

    /// The memory that it takes, about, whoever else has it.
    pub(super) fn memory_alone(&self) -> usize {
        self.0.memory
    }

    /// The document, copied if others have it too.
    pub(super) fn into_document(self) -> Document {
        Arc::unwrap_or_clone(self.0).document
    }
}

impl Deref for SharedEvent {
    type Target = Document;

    fn deref(&self) -> &Document {
        &self.0.document
    }
}

/// The outermost container that a document is about; empty for the host.
pub(crate) fn owner(document: &Document) -> &str {
    let text = |field| document::text(document, field);
    text("tidewaiter.container.nested_in")
        .or_else(|| text("container.id"))
        .unwrap_or_default()
}

#[cfg(test)]
impl std::ops::DerefMut for SharedEvent {
    fn deref_mut(&mut self) -> &mut Document {
        &mut Arc::make_mut(&mut self.0).document
    }
}
