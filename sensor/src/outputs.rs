//! Where alerts leave the program.
//!
//! The last stage. The event thread only ever calls [`Router::offer`], which never waits. A thread downstream of it
//! completes alerts and offers them, in the form that each wants, to the outputs, and a thread for each output writes
//! them: a reader that is slow, a disk that is full or a pipe that is closed is met there and nowhere else. What any of
//! these queues refuses is counted.

pub(crate) mod json;
mod queue;
mod router;
pub(crate) mod stdout;
pub(crate) mod text;
mod waiting;

pub(crate) use queue::{OnClosed, Output};
pub(crate) use router::{Form, Router, RouterInput};
pub(crate) use waiting::Block;

#[cfg(test)]
mod tests;
