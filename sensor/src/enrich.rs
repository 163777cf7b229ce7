//! What the agent adds to events from the host: its description, and the names of users and groups.

pub(crate) mod host;
pub(crate) mod users;
