//! The running sensor: its start, its threads, what it does with events, reloads, and its end.

mod canary;
pub(crate) mod handler;
pub(crate) mod health;
pub(crate) mod last_run;
mod limits;
mod memory;
pub(crate) mod notices;
mod notify;
pub(crate) mod reload;
mod request;
pub(crate) mod signals;
pub(crate) mod start;
mod threads;
pub(crate) mod watch;

pub(crate) use memory::share_arenas;
