//! The way of an event from the ring buffer through the process table, on one thread.
//!
//! Never waits for anything but the ring buffer: what takes time (container engines, disks, output)
//! is behind queues, on other threads. What an event is for is the [`EventHandler`]'s business.

mod handler;
mod intake;
mod pace;

use std::{
    os::fd::AsFd,
    sync::mpsc::{Receiver, TryRecvError},
    thread,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{
    alert::loss::Losses,
    clock::{WallClock, boot_clock_ns},
    decode::Decoder,
    enrich::users::Users,
    kernel::{Hooks, KernelLog, KernelSensor, Records, WakeUp},
    process::ProcessTable,
    telemetry::counts::PipelineCounts,
};

pub(crate) use handler::{Command, EventHandler, Flow, IDLE};
use intake::Intake;
use pace::{LOOK_INTERVAL, Pace};

/// How long after its time an event is in the ring buffer at the latest.
const IN_FLIGHT_NS: i64 = 1_000_000_000;
/// How often clocks, user names and losses are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Records that are handled before commands and clocks are looked at.
const BATCH: usize = 4096;
/// The shortest time between two lines about losses.
const LOSS_REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// How long what runs in the kernel may take to end after the hooks are detached.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);
const SETTLE_STEP: Duration = Duration::from_millis(1);

/// Reads the kernel side and keeps the process table.
pub(crate) struct Pipeline {
    records: Records,
    log: Option<KernelLog>,
    hooks: Hooks,
    decoder: Decoder,
    intake: Intake,
    reported: PipelineCounts,
    reported_at: Instant,
}

impl Pipeline {
    /// A pipeline from an attached kernel side and a table that holds what `/proc` showed after
    /// attaching.
    pub(crate) fn new(kernel: KernelSensor, table: ProcessTable, users: Users) -> Self {
        Pipeline {
            records: kernel.records,
            log: kernel.log,
            hooks: kernel.hooks,
            decoder: Decoder::default(),
            intake: Intake {
                table,
                users,
                clock: WallClock::read(),
                losses: Losses::new(kernel.counters),
                events: 0,
            },
            reported: PipelineCounts::default(),
            reported_at: Instant::now(),
        }
    }

    /// Handles events until a command says stop or nobody can send one any more, then what is left
    /// in the ring buffer; gives the final counts.
    pub(crate) fn run<H: EventHandler>(
        mut self,
        commands: &Receiver<Command<H::Update>>,
        handler: &mut H,
    ) -> PipelineCounts {
        let mut housekeeping = Instant::now();
        let mut pace = Pace::new(housekeeping);
        loop {
            let handled = self.drain(BATCH, handler);
            let now = Instant::now();
            let change = pace.handled(handled, now);
            let due = now.duration_since(housekeeping) >= HOUSEKEEPING;
            if handled == 0 || due {
                let handled_until_ns = (handled == 0 && !self.decoder.has_unfinished())
                    .then(|| self.intake.clock.boot_time_ns() + boot_clock_ns() - IN_FLIGHT_NS);
                if handler.idle(&self.intake.losses, handled_until_ns) == Flow::Stop {
                    return self.finish(handler);
                }
            }
            if due {
                housekeeping = now;
                self.intake.refresh();
                let counts = self.counts();
                handler.counted(&counts);
                self.report_losses(counts);
            }
            loop {
                match commands.try_recv() {
                    Ok(Command::Update(update)) => handler.update(&self.intake.losses, update),
                    Err(TryRecvError::Empty) => break,
                    Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return self.finish(handler),
                }
            }
            if let Some(wake_up) = change
                && let Err(error) = self.records.set_wake_up(wake_up)
            {
                tracing::warn!("could not set what wakes the sensor: {error}; events may come {IDLE:?} late");
            }
            if handled == BATCH {
                continue;
            }
            let sleep = handler.may_sleep();
            // After a change too: a record that still went by what was set before has come by then.
            if change.is_some() || pace.wake_up() == WakeUp::None {
                thread::sleep(LOOK_INTERVAL);
            } else if handled == 0 && !self.wait(sleep) && sleep == IDLE && self.decoder.has_unfinished() {
                self.flush(handler);
            }
        }
    }

    /// Handles what was made until now: nothing more is, and every record made was received or is counted as lost.
    fn finish<H: EventHandler>(mut self, handler: &mut H) -> PipelineCounts {
        self.hooks.detach();
        let deadline = Instant::now() + SETTLE_LIMIT;
        while !self.is_all_received(handler) && Instant::now() < deadline {
            thread::sleep(SETTLE_STEP);
        }
        self.flush(handler);
        handler.finish(&self.intake.losses);
        if let Some(counts) = self.intake.losses.look() {
            self.decoder.end(&counts.produced);
        }
        self.counts()
    }

    /// Handles all there is; gives whether that is all that the kernel side made and did not lose.
    fn is_all_received<H: EventHandler>(&mut self, handler: &mut H) -> bool {
        while self.drain(BATCH, handler) > 0 {}
        self.intake.losses.look().is_none_or(|counts| {
            let produced: u64 = counts.produced.iter().sum();
            produced == self.decoder.counts.received + counts.lost.total()
        })
    }

    /// Waits for records; gives whether there are any.
    fn wait(&self, at_most: Duration) -> bool {
        let mut descriptors = [PollFd::new(self.records.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::ZERO);
        // An interrupted wait is as good as none.
        poll(&mut descriptors, timeout).is_ok_and(|ready| ready > 0)
    }

    /// Handles at most `limit` records; gives how many there were.
    fn drain<H: EventHandler>(&mut self, limit: usize, handler: &mut H) -> usize {
        let Pipeline {
            records,
            log,
            decoder,
            intake,
            ..
        } = self;
        if let Some(log) = log {
            log.write();
        }
        let gaps = decoder.counts.gaps;
        let mut handled = 0;
        while handled < limit
            && records.next_record(|bytes| {
                let result = decoder.push(bytes, &mut |event| intake.take(&event, handler));
                if let Err(error) = result {
                    tracing::debug!("a record from the kernel was left out: {error}");
                }
            })
        {
            handled += 1;
        }
        if decoder.counts.gaps > gaps {
            intake.losses.look();
        }
        handled
    }

    fn flush<H: EventHandler>(&mut self, handler: &mut H) {
        let Pipeline { decoder, intake, .. } = self;
        decoder.flush(&mut |event| intake.take(&event, handler));
    }

    fn counts(&self) -> PipelineCounts {
        let kernel = self.intake.losses.look();
        PipelineCounts {
            produced: kernel.as_ref().map_or(0, |counts| counts.produced.iter().sum()),
            lost: kernel.map_or(self.reported.lost, |counts| counts.lost),
            missed_runs: self.hooks.missed_runs(),
            decode: self.decoder.counts,
            table: self.intake.table.counts,
            events: self.intake.events,
            unread_users: self.intake.users.unread(),
        }
    }

    fn report_losses(&mut self, counts: PipelineCounts) {
        if self.reported_at.elapsed() < LOSS_REPORT_INTERVAL {
            return;
        }
        let lost = counts.lost.since(&self.reported.lost).total();
        let damaged = counts.decode.damaged - self.reported.decode.damaged;
        if lost > 0 {
            tracing::warn!(
                "{lost} kernel records were lost because the ring buffer was filling up ({} since start); \
                 raise `ring_buffer_bytes`",
                counts.lost.total()
            );
        }
        if damaged > 0 {
            tracing::warn!(
                "{damaged} kernel records were damaged ({} since start)",
                counts.decode.damaged
            );
        }
        self.reported = counts;
        self.reported_at = Instant::now();
    }
}
