//! The event thread's weight among all that wants a processor: containers that fill every processor must not be able to
//! hold up what tells of them.

/// With it a thread gets some ten times what one of a container's gets that is in the same cgroup.
const EVENT_NICENESS: i32 = -10;

/// Raises the weight of the calling thread, where that is permitted.
pub(super) fn raise_own() {
    // SAFETY: three numbers; 0 stands for the calling thread.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, EVENT_NICENESS) } != 0 {
        tracing::info!(
            "events are handled with no more weight than other programs have: {}; CAP_SYS_NICE permits more",
            std::io::Error::last_os_error()
        );
    }
}
