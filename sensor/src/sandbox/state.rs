//! What this process has begun with, and what its threads have entered.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::mode::{Mode, Places};
use super::needs::Needs;
use super::role::Role;

pub(super) static PLAN: OnceLock<Plan> = OnceLock::new();
/// By the names of threads.
static ENTERED: Mutex<BTreeMap<String, Entered>> = Mutex::new(BTreeMap::new());

pub(super) struct Plan {
    pub(super) mode: Mode,
    pub(super) places: Places,
    pub(super) needs: Needs,
    /// Asked for once: no role may ask.
    pub(super) landlock_version: Option<u32>,
}

/// What a thread has entered.
#[derive(Clone, Copy)]
pub(super) struct Entered {
    pub(super) role: Role,
    pub(super) has_landlock: bool,
}

/// The threads that have entered a role.
pub(super) fn entered() -> MutexGuard<'static, BTreeMap<String, Entered>> {
    ENTERED.lock().unwrap_or_else(PoisonError::into_inner)
}
