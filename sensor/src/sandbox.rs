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
mod mode;
mod needs;
mod report;
mod role;
mod state;

use std::io;
use std::thread;

use tracing::{info, warn};

pub(crate) use capabilities::without_capabilities;
pub(crate) use filter::{Refused, refused};
pub(crate) use mode::{Mode, Places};
pub(crate) use report::{Report, ThreadReport, report};
pub(crate) use role::Role;

use needs::Needs;
use state::{Entered, PLAN, Plan, entered};

/// Has threads enter their roles from now on, and takes from all threads what no role uses. To be called once, before
/// further threads are started.
pub(crate) fn begin(mode: Mode, places: Places) {
    let plan = PLAN.get_or_init(|| Plan {
        mode,
        needs: Needs::find(&places),
        landlock_version: files::version(),
        places,
    });
    if plan.mode == Mode::Off {
        return;
    }
    if let Err(error) = filter::apply_to_all_threads(plan.mode) {
        warn!("system calls are not limited: {error}");
    }
    if plan.mode == Mode::Enforce && plan.landlock_version.is_none() {
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

#[cfg(test)]
mod tests;
