//! Finds the processes that have ended without an event of it, which happens where events are lost.
//!
//! They are compared with `/proc` on a thread of its own; the event thread hands over whom it takes to be live, and takes
//! in who has ended.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use procfs::ProcError;
use procfs::process::Process;

use super::key::ProcessKey;
use super::table::ProcessTable;

/// The shortest time between two comparisons.
const INTERVAL: Duration = Duration::from_secs(10);
const STACK_BYTES: usize = 128 * 1024;

/// Compares the table with `/proc` after events were lost.
#[derive(Default)]
pub(crate) struct Reconciliation {
    /// How many events were lost when the last comparison began.
    lost_before: u64,
    began: Option<Instant>,
    running: Option<Receiver<Vec<ProcessKey>>>,
}

impl Reconciliation {
    /// Takes in who was found to have ended, and has the table compared if more events were `lost` since the last time.
    /// Call it about once a second.
    pub(crate) fn advance(&mut self, table: &mut ProcessTable, lost: u64) {
        match self.running.as_ref().map(Receiver::try_recv) {
            Some(Ok(ended)) => {
                self.running = None;
                ended.into_iter().for_each(|key| table.end_missed(key));
            }
            Some(Err(TryRecvError::Empty)) => return,
            Some(Err(TryRecvError::Disconnected)) => self.running = None,
            None => {}
        }
        let is_time = self.began.is_none_or(|began| began.elapsed() >= INTERVAL);
        if lost == self.lost_before || !is_time {
            return;
        }
        let live: Vec<ProcessKey> = table.live_keys().collect();
        let (answer, answered) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("reconcile".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || answer.send(live.into_iter().filter(|key| has_ended(*key)).collect()));
        self.began = Some(Instant::now());
        if thread.is_ok() {
            self.lost_before = lost;
            self.running = Some(answered);
        }
    }
}

/// Whether a process no longer runs. One that cannot be looked at is taken to run.
fn has_ended(key: ProcessKey) -> bool {
    let stat = Process::new(key.pid as i32).and_then(|process| process.stat());
    match stat {
        // A leader that has ended before its threads is a zombie as well.
        Ok(stat) => {
            stat.starttime != key.start_ticks || (matches!(stat.state, 'Z' | 'X' | 'x') && stat.num_threads <= 1)
        }
        Err(error) => matches!(error, ProcError::NotFound(_)),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn key_of(pid: u32) -> ProcessKey {
        let stat = Process::new(pid as i32).and_then(|process| process.stat()).unwrap();
        ProcessKey {
            pid,
            start_ticks: stat.starttime,
        }
    }

    #[test]
    fn who_runs_has_not_ended_and_who_is_gone_or_replaced_or_a_zombie_has() {
        let mut child = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
        let key = key_of(child.id());
        assert!(!has_ended(key));
        assert!(has_ended(ProcessKey {
            start_ticks: key.start_ticks + 1,
            ..key
        }));
        child.kill().unwrap();
        // Its death is awaited without taking its remains away.
        let options = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        let child_id = nix::unistd::Pid::from_raw(child.id() as i32);
        nix::sys::wait::waitid(nix::sys::wait::Id::Pid(child_id), options).unwrap();
        assert!(has_ended(key), "a zombie");
        child.wait().unwrap();
        assert!(has_ended(key), "gone");
    }
}
