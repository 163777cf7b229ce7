//! What a thread may still do once the sensor has what it needs: capabilities, system calls, files.
//!
//! The start needs most rights, and needs them once. From then on each thread keeps what its [`Role`] uses. The thread
//! [enters](enter) its role before it does anything else; what it starts has the same one. What is refused fails with
//! EPERM and is [counted](refused): no mistake in these lists ends the sensor.
//!
//! Threads share memory. Who can write all of it can have any thread act, so what the sensor as a whole can still do is
//! what all roles together can.

mod calls;
mod capabilities;
mod files;
mod filter;
mod needs;
mod report;
mod role;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use tracing::{info, warn};

pub(crate) use capabilities::without_capabilities;
pub(crate) use filter::{Refused, refused};
pub(crate) use report::{Report, ThreadReport, report};
pub(crate) use role::Role;

use needs::Needs;

/// What becomes of what a role does not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing.
    Off,
    /// The kernel logs system calls that would be refused.
    Log,
    /// It is refused.
    Enforce,
}

impl Mode {
    pub(crate) const ALL: [Mode; 3] = [Mode::Off, Mode::Log, Mode::Enforce];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Log => "log",
            Mode::Enforce => "enforce",
        }
    }
}

/// What the configuration says of files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// In which the sensor writes while it runs.
    pub(crate) folders: Vec<PathBuf>,
    /// Whether sockets of engines are reached through another process's root.
    pub(crate) engines_are_in_processes: bool,
}

static PLAN: OnceLock<Plan> = OnceLock::new();
/// By the names of threads.
static ENTERED: Mutex<BTreeMap<String, Entered>> = Mutex::new(BTreeMap::new());

struct Plan {
    mode: Mode,
    places: Places,
    needs: Needs,
}

/// What a thread has entered.
#[derive(Clone, Copy)]
struct Entered {
    role: Role,
    has_landlock: bool,
}

/// Has threads enter their roles from now on, and takes from all threads what no role uses. To be called once, before
/// further threads are started.
pub(crate) fn begin(mode: Mode, places: Places) {
    let plan = PLAN.get_or_init(|| Plan {
        mode,
        needs: Needs::find(&places),
        places,
    });
    if plan.mode == Mode::Off {
        return;
    }
    if let Err(error) = filter::apply_to_all_threads(plan.mode) {
        warn!("system calls are not limited: {error}");
    }
    if plan.mode == Mode::Enforce && files::version().is_none() {
        info!("this kernel has no Landlock: files are limited by system calls and capabilities alone");
    }
}

/// Leaves the calling thread with what the role uses; what it cannot have limited stays as it was, and the log says so.
pub(crate) fn enter(role: Role) {
    if let Some(plan) = PLAN.get()
        && plan.mode != Mode::Off
    {
        let limited = plan.limit(role);
        let thread = thread::current();
        let name = thread.name().unwrap_or(role.name()).to_owned();
        entered().insert(name, limited);
    }
}

impl Plan {
    /// Limits the calling thread.
    fn limit(&self, role: Role) -> Entered {
        let mut has_landlock = false;
        if self.mode == Mode::Enforce {
            has_landlock = files::restrict(role, self).unwrap_or_else(|error| {
                warn!("files are not limited for {}: {error}", role.name());
                false
            });
            if let Err(error) = capabilities::keep(role.capabilities(&self.needs)) {
                warn!("capabilities are not dropped for {}: {error}", role.name());
            }
        }
        if let Err(error) = filter::apply(role, self.mode) {
            warn!("system calls are not limited for {}: {error}", role.name());
        }
        Entered { role, has_landlock }
    }
}

/// Calls `start` so that the threads that it starts are in the role.
///
/// # Errors
/// No thread can be started.
pub(crate) fn within<T: Send>(role: Role, start: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let named = thread::Builder::new().name(role.name().to_owned());
        let starting = named.spawn_scoped(scope, || {
            enter(role);
            start()
        })?;
        starting.join().map_err(|_| io::Error::other("the thread panicked"))
    })
}

fn entered() -> MutexGuard<'static, BTreeMap<String, Entered>> {
    ENTERED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
