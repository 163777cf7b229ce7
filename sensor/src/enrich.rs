//! What an event gains from the host: its description, and the names of users and groups.

pub mod host;
pub mod users;
