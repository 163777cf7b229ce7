//! The event thread: takes records from the ring buffer through decoder and process table to the handler.
//!
//! It never waits for anything but the ring buffer: whatever takes time (container engines, disks, outputs) is behind
//! queues, on other threads. What becomes of an event is up to the [`EventHandler`], which may leave events in the ring
//! buffer for a while, but keeps the thread from nothing else.

mod backlog;
mod canary;
mod handler;
mod intake;
mod pace;
mod plausible;
mod progress;
mod signals;

use std::{
    mem,
    os::fd::AsFd,
    sync::mpsc::Receiver,
    thread,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sensor_abi::LossReason;

use crate::{
    alert::loss::Losses,
    clock::{WallClock, boot_clock_ns},
    decode::Decoder,
    enrich::users::Users,
    kernel::{Hooks, KernelLog, KernelSensor, Records, WakeUp},
    notice::{self, Notice},
    process::{ProcessTable, Reconciliation},
    scheduling::Precedence,
    telemetry::counts::{KernelCounts, PipelineCounts, TamperCounts, Tampered},
};

use backlog::Backlog;
use canary::Watcher;
pub(crate) use canary::{CANARY_ARGUMENT, Canary, act as act_as_canary};
pub(crate) use handler::{EventHandler, HELD_FOR, IDLE, Stop};
use intake::Intake;
use pace::{POLL_INTERVAL, Pace};
use plausible::CounterWatch;
pub(crate) use progress::Progress;

/// How long an event may take from its time until it is in the ring buffer.
const IN_FLIGHT_NS: i64 = 1_000_000_000;
/// How often the clock, user names and losses are checked.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// How many records are handled before updates and the clock are checked.
const BATCH: usize = 512;
/// The percentage of a processor that the thread may take before others: several times what it needs while a container
/// storms, and no more of the host than half a processor.
const SHARE: u32 = 50;
/// The shortest time between two lines about losses.
const LOSS_REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// How long programs that are still running may take after the hooks are detached.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);
const SETTLE_STEP: Duration = Duration::from_millis(1);
/// How often a handler without room is asked for it again, and how long it may take at the end.
const ROOM_INTERVAL: Duration = Duration::from_millis(20);
const ROOM_LIMIT: Duration = Duration::from_secs(2);

/// The kernel side, the decoder and the process table, as the event thread owns them.
pub(crate) struct Pipeline {
    records: Records,
    log: Option<KernelLog>,
    hooks: Hooks,
    decoder: Decoder,
    intake: Intake,
    progress: Progress,
    /// How many records had been lost when it was last looked whose they were.
    lost: u64,
    counters: CounterWatch,
    tampered: TamperCounts,
    reported: PipelineCounts,
    reported_at: Instant,
    reconciliation: Reconciliation,
    backlog: Backlog,
}

/// What was done at once.
struct Drained {
    /// How many records were handled.
    handled: usize,
    /// Whether the handler had room for all that came.
    has_room: bool,
}

impl Pipeline {
    /// A pipeline from an attached kernel side and a table filled from `/proc` after attaching.
    pub(crate) fn new(
        kernel: KernelSensor,
        table: ProcessTable,
        users: Users,
        progress: Progress,
        canary: Option<Canary>,
        own_pid: Option<u32>,
    ) -> Self {
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
                owners: kernel.owners,
                events: 0,
                canary: canary.map(|canary| (canary, Watcher::new())),
                own_pid,
            },
            progress,
            lost: 0,
            counters: CounterWatch::default(),
            tampered: TamperCounts::default(),
            reported: PipelineCounts::default(),
            reported_at: Instant::now(),
            reconciliation: Reconciliation::default(),
            backlog: Backlog::default(),
        }
    }

    /// Handles events until it is to stop, then what is left in the ring buffer; returns the final counts. What other
    /// threads need of the pipeline stays until it is dropped.
    pub(crate) fn run<H: EventHandler>(
        &mut self,
        stop: &Stop,
        updates: &Receiver<H::Update>,
        handler: &mut H,
    ) -> PipelineCounts {
        self.progress.count(PipelineCounts::default());
        let mut housekeeping = Instant::now();
        let mut pace = Pace::new(housekeeping);
        let mut precedence = Precedence::take("events", SHARE);
        loop {
            // Before the look at the ring buffer: a later record may be about any time after this one.
            let looked_ns = boot_clock_ns();
            let hold_for = if handler.stands_by() { HELD_FOR } else { Duration::ZERO };
            let Drained { handled, has_room } = self.drain(BATCH, hold_for, handler);
            let now = Instant::now();
            precedence.keep_to_share(now);
            let stands_by = handler.stands_by();
            if !stands_by && !self.progress.has_begun() {
                self.progress.begin();
            }
            let is_empty = handled == 0 && has_room;
            let change = if has_room { pace.handled(handled, now) } else { None };
            if is_empty && !stands_by {
                // All that was sent until then has been handled.
                self.expire(looked_ns.cast_unsigned(), handler);
                self.backlog.end(now, &self.progress);
            }
            if !has_room {
                self.backlog.begin(now, &self.progress);
            }
            let due = now.duration_since(housekeeping) >= HOUSEKEEPING;
            if is_empty || due {
                let is_caught_up = is_empty && !stands_by && !self.decoder.has_unfinished();
                let handled_until_ns = is_caught_up.then_some(looked_ns - IN_FLIGHT_NS);
                if let Some(boot_clock_ns) = handled_until_ns {
                    self.progress.handled_until(boot_clock_ns);
                }
                handler.idle(&self.intake.losses, handled_until_ns);
            }
            if due {
                housekeeping = now;
                self.intake.refresh();
                self.look_after_kernel_side();
                let counts = self.counts();
                self.progress.count(counts);
                // Who has ended is not known from `/proc` as long as that may stand in the ring buffer.
                if has_room && !stands_by {
                    self.reconciliation.advance(&mut self.intake.table, counts.lost.total());
                }
                self.backlog.tell(now);
                handler.counted(&counts);
                self.tell_refused(&counts);
                self.intake.table.tell_given_up();
                self.report_losses(counts);
            }
            if stop.is_requested() {
                return self.finish(handler);
            }
            while let Ok(update) = updates.try_recv() {
                handler.update(&self.intake.losses, update);
            }
            if let Some(wake_up) = change
                && let Err(error) = self.records.set_wake_up(wake_up)
            {
                tracing::warn!("could not set what wakes the sensor: {error}; events may come {IDLE:?} late");
            }
            if handled == BATCH {
                continue;
            }
            if !has_room {
                thread::sleep(ROOM_INTERVAL);
                continue;
            }
            let sleep = handler.may_sleep();
            // Also after a change: by then a record that still used the previous setting has arrived.
            if change.is_some() || pace.wake_up() == WakeUp::None {
                thread::sleep(POLL_INTERVAL);
            } else if handled == 0 {
                self.wait(sleep);
            }
        }
    }

    /// Takes what other threads sent after the end, or what there was no time for.
    pub(crate) fn take_last_updates<H: EventHandler>(&mut self, updates: &Receiver<H::Update>, handler: &mut H) {
        while let Ok(update) = updates.try_recv() {
            handler.update(&self.intake.losses, update);
        }
    }

    /// Detaches and handles what was produced until then, so that every record was received or is counted as lost.
    fn finish<H: EventHandler>(&mut self, handler: &mut H) -> PipelineCounts {
        self.look_after_kernel_side();
        handler.detaching(boot_clock_ns());
        self.hooks.detach();
        let detached = Instant::now();
        loop {
            let has_room = self.drain_everything(handler);
            let time_limit = if has_room { SETTLE_LIMIT } else { ROOM_LIMIT };
            if (has_room && self.is_all_received()) || detached.elapsed() >= time_limit {
                break;
            }
            thread::sleep(SETTLE_STEP);
        }
        handler.wait_no_longer();
        self.drain_everything(handler);
        self.flush(handler);
        handler.finish(&self.intake.losses);
        if let Some(counts) = self.intake.losses.read_counters() {
            self.decoder.end(&counts.produced);
        }
        self.counts()
    }

    /// Handles all records there are; returns whether the handler had room for them.
    fn drain_everything<H: EventHandler>(&mut self, handler: &mut H) -> bool {
        loop {
            let Drained { handled, has_room } = self.drain(BATCH, Duration::ZERO, handler);
            if handled == 0 || !has_room {
                return has_room;
            }
        }
    }

    /// Whether everything was handled that the kernel side sent.
    fn is_all_received(&self) -> bool {
        self.intake
            .losses
            .read_counters()
            .is_none_or(|counts| counts.total_produced() == self.decoder.counts.received + counts.lost.total_numbered())
    }

    /// Waits for records.
    fn wait(&self, at_most: Duration) {
        let mut descriptors = [PollFd::new(self.records.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::ZERO);
        // Whatever ends it, the ring buffer is looked at next.
        let _ = poll(&mut descriptors, timeout);
    }

    /// Handles at most `limit` records, as long as the handler has room, and only those that have been held for so long.
    fn drain<H: EventHandler>(&mut self, limit: usize, hold_for: Duration, handler: &mut H) -> Drained {
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
        let (mut handled, mut has_room) = (0, handler.has_room());
        loop {
            let consume = |bytes: &[u8]| {
                let result = decoder.push(bytes, &mut |event| intake.take(&event, handler));
                if let Err(error) = result {
                    tracing::debug!("a record from the kernel was left out: {error}");
                }
            };
            let is_one = handled < limit
                && has_room
                && match hold_for {
                    Duration::ZERO => records.next_record(consume),
                    age => records.next_record_after(age, consume),
                };
            if !is_one {
                break;
            }
            handled += 1;
            has_room = handler.has_room();
        }
        if decoder.counts.gaps > gaps {
            intake.losses.read_counters();
        }
        Drained { handled, has_room }
    }

    fn flush<H: EventHandler>(&mut self, handler: &mut H) {
        let Pipeline { decoder, intake, .. } = self;
        decoder.flush(&mut |event| intake.take(&event, handler));
    }

    fn expire<H: EventHandler>(&mut self, now_ns: u64, handler: &mut H) {
        let Pipeline { decoder, intake, .. } = self;
        decoder.expire(now_ns, &mut |event| intake.take(&event, handler));
    }

    /// Finds what somebody else changed of the kernel side, and puts back what can be.
    fn look_after_kernel_side(&mut self) {
        let before = self.tampered;
        self.hooks.restore(&mut self.tampered);
        self.records.restore(&mut self.tampered);
        if let Some(counts) = self.intake.losses.read_counters()
            && !self.counters.is_plausible(counts, &self.decoder.counts)
        {
            self.tampered[Tampered::Counters.index()] += 1;
        }
        // Of a hook the notice is raised where its name is known.
        for what in [Tampered::TailCall, Tampered::WakeUp, Tampered::Counters] {
            let times = self.tampered[what.index()] - before[what.index()];
            if times > 0 {
                notice::raise(Notice::KernelSideChanged { what: what.label() }, None, times);
            }
        }
    }

    fn counts(&self) -> PipelineCounts {
        let kernel = self.intake.losses.read_counters();
        PipelineCounts {
            produced: kernel.as_ref().map_or(0, KernelCounts::total_produced),
            lost: kernel.map_or(self.reported.lost, |counts| counts.lost),
            decode: self.decoder.counts,
            tampered: self.tampered,
            table: self.intake.table.counts,
            events: self.intake.events,
            unread_users: self.intake.users.unread(),
            owners_forgotten: self.intake.owners.forgotten(),
        }
    }

    /// Raises a notice about each container of whose records some were not sent.
    fn tell_refused(&mut self, counts: &PipelineCounts) {
        let lost = counts.lost.total();
        if lost != mem::replace(&mut self.lost, lost) {
            let mut raise = |container: Option<&str>, count| notice::raise(Notice::OverShare, container, count);
            self.intake.owners.newly_refused(&mut raise);
        }
    }

    fn report_losses(&mut self, counts: PipelineCounts) {
        if self.reported_at.elapsed() < LOSS_REPORT_INTERVAL {
            return;
        }
        let lost = counts.lost.since(&self.reported.lost);
        let damaged = counts.decode.damaged - self.reported.decode.damaged;
        for reason in LossReason::ALL {
            let advice = match reason {
                LossReason::RingFull | LossReason::OverShare => "; raise `ring_buffer_bytes`",
                LossReason::NoContinuation | LossReason::NoScratch | LossReason::MissedRun => "",
            };
            if lost.total_of(reason) > 0 {
                tracing::warn!(
                    "{} kernel records were lost ({} since start): {}{advice}",
                    lost.total_of(reason),
                    counts.lost.total_of(reason),
                    reason.description()
                );
            }
        }
        for what in Tampered::ALL {
            let times = counts.tampered[what.index()];
            if times > self.reported.tampered[what.index()] {
                tracing::warn!("{} ({times} times since start)", what.description());
            }
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
