//! What the agent adds to events from the host: its description, and the names of users and groups.

mod below;
pub(crate) mod host;
pub(crate) mod node;
pub(crate) mod users;
