//! The thread that says what the sensor has to say of itself: it merges notices, looks for what only the clock and the
//! counters show, and sends a heartbeat, so that silence can be told from peace.
//!
//! It waits for nothing but time, so it speaks whatever the other threads hang on.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use container_engines::{ContainerClaim, ContainerRef, Directory, EngineState};
use rule_engine::Record;
use sensor_abi::RecordKind;
use tracing::warn;

use super::canary::Canaries;
use super::last_run::{self, AliveNote};
use super::limits::OwnLimits;
use crate::clock::{boot_clock_ns, boot_time_ns, wall_clock_ns};
use crate::notice::{self, ClockWay, Merged, Notice, Raised, Whose};
use crate::pipeline::{Canary, Progress};
use crate::record::{Heartbeat, RecordBuilder, SCHEMA, fill_metadata};
use crate::sandbox::{self, Refused, Role};
use crate::telemetry::beat::Beat;
use crate::telemetry::counts::{LostRecords, OutputCounts};
use crate::telemetry::log::DroppedLines;

/// How often the counters and the clock are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Who was away for longer between two looks stood still.
const STOOD_STILL_NS: i64 = 5_000_000_000;
/// A wall clock that moved further between two looks was set; what keeps it right moves it less.
const CLOCK_SET_NS: i64 = 5_000_000_000;

/// Where documents go that are no alerts.
pub(crate) trait Outlet: Send + 'static {
    /// Takes a document if there is room for it; returns whether there was. Never waits.
    fn tell(&mut self, record: &Record) -> bool;

    /// What became of all documents.
    fn counts(&self) -> OutputCounts;
}

/// What the thread goes by.
pub(crate) struct NoticeSources {
    pub(crate) builder: RecordBuilder,
    pub(crate) directory: Directory,
    pub(crate) progress: Progress,
    /// Noted at each look.
    pub(crate) beat: Beat,
    pub(crate) canary: Option<Canary>,
    pub(crate) dropped_lines: DroppedLines,
    /// Where it is noted that the sensor is alive.
    pub(crate) alive: Option<AliveNote>,
    /// Zero: no heartbeat, and no canary.
    pub(crate) heartbeat: Duration,
}

/// The thread, until it is finished.
pub(crate) struct Notices {
    /// Has the thread end by being dropped.
    end: Sender<()>,
    ended: Receiver<()>,
    thread: Arc<JoinHandle<()>>,
}

impl Notices {
    /// Starts the thread.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(sources: NoticeSources, outlet: impl Outlet) -> io::Result<Self> {
        let (end, is_ending) = mpsc::channel();
        let (at_end, ended) = mpsc::channel();
        let raised = notice::take().ok_or_else(|| io::Error::other("somebody takes the notices already"))?;
        let mut teller = Teller::new(sources, outlet)?;
        let thread = thread::Builder::new().name("notices".to_owned()).spawn(move || {
            sandbox::enter(Role::Notices);
            let _at_end = at_end;
            teller.run(&raised, &is_ending);
        })?;
        Ok(Notices {
            end,
            ended,
            thread: Arc::new(thread),
        })
    }

    pub(crate) fn thread(&self) -> Arc<JoinHandle<()>> {
        Arc::clone(&self.thread)
    }

    /// Has what was raised told, and ends the thread.
    pub(crate) fn finish(self, time_limit: Duration) {
        drop(self.end);
        // Nothing is ever sent: this returns when the thread has ended, or at the time limit.
        let _ = self.ended.recv_timeout(time_limit);
    }
}

struct Teller<O> {
    sources: NoticeSources,
    outlet: O,
    merged: Merged,
    record: Record,
    /// New at each run, so that no two documents have the same id.
    run_id: String,
    told: u64,
    seen: Seen,
    looked_at_ns: i64,
    boot_time_ns: i64,
    last_heartbeat: (Instant, Seen),
    noted_alive: Instant,
    canaries: Option<Canaries>,
    /// From when the sensor has set those that it needs.
    limits: Option<OwnLimits>,
    /// Which of the engines did not answer as they should.
    failing: Vec<bool>,
}

/// What had been counted at some time.
#[derive(Clone, Copy)]
struct Seen {
    at_ns: i64,
    lost: LostRecords,
    events: u64,
    output: OutputCounts,
    log_lines_lost: u64,
}

impl<O: Outlet> Teller<O> {
    fn new(sources: NoticeSources, outlet: O) -> io::Result<Self> {
        let run_id = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        let seen = Seen {
            at_ns: wall_clock_ns(),
            lost: LostRecords::default(),
            events: 0,
            output: OutputCounts::default(),
            log_lines_lost: 0,
        };
        let canary = sources.canary.clone().filter(|_| !sources.heartbeat.is_zero());
        let progress = sources.progress.clone();
        let canaries = canary.map(|canary| Canaries::new(canary, progress, sources.heartbeat));
        Ok(Teller {
            canaries,
            limits: None,
            failing: Vec::new(),
            noted_alive: Instant::now(),
            sources,
            outlet,
            merged: Merged::default(),
            record: Record::with_schema(&SCHEMA),
            run_id: run_id.trim().to_owned(),
            told: 0,
            seen,
            looked_at_ns: boot_clock_ns(),
            boot_time_ns: boot_time_ns(),
            last_heartbeat: (Instant::now(), seen),
        })
    }

    fn run(&mut self, raised: &Receiver<Raised>, is_ending: &Receiver<()>) {
        let mut looked_at = Instant::now();
        loop {
            if let Ok(raised) = raised.recv_timeout(LOOK_INTERVAL.saturating_sub(looked_at.elapsed())) {
                self.merged.add(raised);
                self.tell_merged();
            }
            if looked_at.elapsed() >= LOOK_INTERVAL {
                looked_at = Instant::now();
                self.look();
                self.tell_merged();
            }
            if is_ending.try_recv() == Err(mpsc::TryRecvError::Disconnected) {
                raised.try_iter().for_each(|raised| self.merged.add(raised));
                self.look();
                self.tell_everything();
                return;
            }
        }
    }

    /// Notices what the counters and the clock show.
    fn look(&mut self) {
        self.sources.beat.note();
        let now_ns = boot_clock_ns();
        let still_ns = now_ns - self.looked_at_ns;
        self.looked_at_ns = now_ns;
        let wall_ns = wall_clock_ns();
        let counted = self.sources.progress.counted();
        let seen = Seen {
            at_ns: wall_ns,
            lost: counted.counts.lost,
            events: counted.counts.events,
            output: self.outlet.counts(),
            log_lines_lost: self.sources.dropped_lines.count(),
        };
        let before = std::mem::replace(&mut self.seen, seen);
        if still_ns > STOOD_STILL_NS {
            self.add(Notice::StoodStill, 1, wall_ns - still_ns);
        }
        let boot_time_ns = boot_time_ns();
        let set_by_ns = boot_time_ns - std::mem::replace(&mut self.boot_time_ns, boot_time_ns);
        if set_by_ns.abs() > CLOCK_SET_NS {
            let way = if set_by_ns > 0 {
                ClockWay::Forward
            } else {
                ClockWay::Back
            };
            self.add(
                Notice::ClockSet { way },
                set_by_ns.unsigned_abs() / 1_000_000_000,
                wall_ns,
            );
        }
        let lost = seen.lost.since(&before.lost);
        for (reason, by_kind) in lost.by_reason() {
            for (kind, count) in RecordKind::ALL.into_iter().zip(by_kind) {
                let kind = kind.name();
                self.add(Notice::RecordsLost { kind, reason }, count, before.at_ns);
            }
        }
        let log_lines = seen.log_lines_lost - before.log_lines_lost;
        self.add(Notice::LogLinesDropped, log_lines, before.at_ns);
        self.add(Notice::NoticesMissed, notice::take_missed(), before.at_ns);
        for Refused { call, count } in sandbox::refused() {
            self.add(Notice::CallRefused { call }, count.into(), before.at_ns);
        }
        for engine in self.newly_failing() {
            self.add(Notice::EngineFailing { engine }, 1, before.at_ns);
        }
        if self.sources.progress.has_begun() {
            let limits = self.limits.get_or_insert_with(OwnLimits::read);
            for limit in limits.set_back() {
                self.add(Notice::LimitChanged { limit }, 1, before.at_ns);
            }
        }
        let seen_by_canaries = self.canaries.as_mut().map(Canaries::look);
        for notice in seen_by_canaries.into_iter().flatten() {
            self.add(notice, 1, wall_ns);
        }
        let heartbeat = self.sources.heartbeat;
        if self.noted_alive.elapsed() >= last_run::INTERVAL.min(heartbeat.max(LOOK_INTERVAL)) {
            let is_noted = self.sources.alive.as_ref().is_none_or(AliveNote::put);
            if is_noted {
                self.noted_alive = Instant::now();
            }
        }
        if !heartbeat.is_zero() && self.sources.progress.has_begun() && self.last_heartbeat.0.elapsed() >= heartbeat {
            self.beat(counted.at.elapsed());
        }
    }

    /// Container engines that no longer answer as they should.
    fn newly_failing(&mut self) -> Vec<String> {
        let engines = self.sources.directory.engines();
        let fails = |state: &EngineState| matches!(state, EngineState::Failing { .. });
        let failing = engines.iter().map(|engine| fails(&engine.state)).collect();
        let before = std::mem::replace(&mut self.failing, failing);
        let was_failing = before.into_iter().chain(std::iter::repeat(false));
        let newly = engines
            .iter()
            .zip(was_failing)
            .filter(|(engine, was_failing)| fails(&engine.state) && !was_failing);
        newly.map(|(engine, _)| engine.socket.to_string()).collect()
    }

    fn add(&mut self, notice: Notice, count: u64, since_ns: i64) {
        if count > 0 {
            notice::count(&notice);
            self.merged.add(Raised {
                notice,
                whose: Whose::Sensor,
                count,
                since_ns,
                until_ns: self.seen.at_ns.max(since_ns),
            });
        }
    }

    /// Tells that the sensor is alive. A heartbeat that the outlet has no room for is missing, as it should be.
    fn beat(&mut self, lag: Duration) {
        let now = self.seen;
        let (_, before) = std::mem::replace(&mut self.last_heartbeat, (Instant::now(), now));
        let not_written = |counts: &OutputCounts| counts.refused + counts.lost;
        let heartbeat = Heartbeat {
            since_ns: before.at_ns,
            until_ns: now.at_ns,
            events: now.events.saturating_sub(before.events),
            records_lost: now.lost.since(&before.lost).total(),
            written: now.output.written.saturating_sub(before.output.written),
            not_written: not_written(&now.output).saturating_sub(not_written(&before.output)),
            log_lines_lost: now.log_lines_lost - before.log_lines_lost,
            lag_ms: u64::try_from(lag.as_millis()).unwrap_or(u64::MAX),
        };
        let id = self.next_id();
        self.sources.builder.fill_heartbeat(&mut self.record, &heartbeat, &id);
        self.outlet.tell(&self.record);
    }

    fn tell_merged(&mut self) {
        let mut merged = std::mem::take(&mut self.merged);
        merged.tell(Instant::now(), |raised| self.tell(raised));
        self.merged = merged;
    }

    fn tell_everything(&mut self) {
        let mut merged = std::mem::take(&mut self.merged);
        merged.tell_everything(|raised| self.tell(raised));
    }

    fn tell(&mut self, raised: &Raised) -> bool {
        let id = self.next_id();
        self.sources.builder.fill_notice(&mut self.record, raised, &id);
        if let Whose::Container(container) = &raised.whose {
            let inner = raised.notice.sender().and_then(|sender| sender.container.as_deref());
            let inner = inner.filter(|inner| **inner != **container);
            let reference = |id| ContainerRef { id, runtime: None };
            let lookup = self.sources.directory.get(ContainerClaim {
                container: reference(inner.unwrap_or(container)),
                rootless_owner: None,
                nested_in: inner.map(|_| reference(container)),
            });
            fill_metadata(&mut self.record, &lookup);
        }
        let is_told = self.outlet.tell(&self.record);
        if is_told && !raised.notice.is_logged_where_it_happens() {
            warn!("{}", raised.notice.message(raised.count));
        }
        is_told
    }

    fn next_id(&mut self) -> String {
        self.told += 1;
        format!("{}-{}", self.run_id, self.told)
    }
}
