//! What `run` does with events: verdicts of the rules become alerts, and those go to the outputs.
//!
//! Runs on the event thread, so nothing here waits.

use std::time::{Duration, Instant};

use rule_engine::{Match, Record, fields};
use tracing::info;

use super::health::Vitals;
use super::notify;
use crate::alert::loss::Losses;
use crate::alert::{Alert, ChainLink, SharedEvent, chain_of};
use crate::clock::{WallClock, boot_clock_ns};
use crate::detection::{Detection, Release, Rules, WAITING_POLL_INTERVAL, WaitingEvent};
use crate::event::Event;
use crate::history::{History, TakenOver};
use crate::kernel::Environment;
use crate::notice::{self, Notice};
use crate::outputs::Router;
use crate::pipeline::{EventHandler, HELD_FOR, IDLE};
use crate::record::{RecordBuilder, SCHEMA, fill_metadata};
use crate::telemetry::counts::{OutputCounts, PipelineCounts, Snapshot};
use crate::telemetry::log::DroppedLines;
use crate::telemetry::prometheus::Metrics;
use crate::telemetry::report::{self, EvictionReport};
use crate::text::document::Document;

/// How long each part of the end has at least, when another one took all the time.
const LEAST_FOR_EACH: Duration = Duration::from_secs(1);

/// Detects, and hands alerts on.
pub(crate) struct Alerting {
    detection: Detection<Vec<ChainLink>>,
    builder: RecordBuilder,
    history: History,
    outputs: Router,
    metrics: Option<Metrics>,
    dropped_lines: DroppedLines,
    vitals: Vitals,
    /// Events up to this time of the boot clock are those of the sensor that ran before.
    theirs_until_ns: i64,
    /// Later ones are those of the sensor that comes after this one.
    ours_until_ns: i64,
    /// The last event that the rules did not see because this one stood by.
    let_go_ns: i64,
    /// Filled for an event that matched.
    whole: Record,
    evictions: EvictionReport,
}

impl Alerting {
    pub(crate) fn new(
        detection: Detection<Vec<ChainLink>>,
        builder: RecordBuilder,
        history: History,
        outputs: Router,
        metrics: Option<Metrics>,
        dropped_lines: DroppedLines,
        vitals: Vitals,
    ) -> Self {
        let mut alerting = Alerting {
            detection,
            builder,
            history,
            outputs,
            metrics,
            dropped_lines,
            vitals,
            theirs_until_ns: i64::MIN,
            ours_until_ns: i64::MAX,
            let_go_ns: i64::MIN,
            whole: Record::with_schema(&SCHEMA),
            evictions: EvictionReport::default(),
        };
        if !alerting.history.stands_by() {
            alerting.begin(boot_clock_ns());
        }
        alerting
    }

    /// Has the rules run from this time on.
    fn begin(&mut self, from_ns: i64) {
        let (now_ns, clock) = (boot_clock_ns(), WallClock::read());
        self.history
            .follow_boot_clock(now_ns / 1_000_000, clock.at(now_ns as u64) / 1_000_000);
        self.detection.begin(from_ns, &mut self.history);
    }

    /// Goes on from where the sensor that had the state directory has ended.
    fn take_over(&mut self, taken: TakenOver) {
        self.theirs_until_ns = taken.watched_until_ns.unwrap_or(i64::MIN);
        let held_for_ns = i64::try_from(HELD_FOR.as_nanos()).unwrap_or(i64::MAX);
        let from_ns = self.theirs_until_ns.max(boot_clock_ns() - held_for_ns);
        if self.let_go_ns > from_ns {
            let clock = WallClock::read();
            let [since_ns, until_ns] = [from_ns, self.let_go_ns].map(|time_ns| clock.at(time_ns.cast_unsigned()));
            notice::raise_between(Notice::HandoverGap, since_ns, until_ns);
        }
        self.begin(from_ns);
        let status = format!("watching with {} rules", self.detection.rule_count());
        info!("the other sensor has ended, and this one takes its place: {status}");
        notify::ready(&status);
        self.vitals.set_status(&status);
    }

    /// Writes what is left, all in all for at most `time_limit`, and reports everything; gives what became of the alerts.
    pub(crate) fn finish(self, pipeline: PipelineCounts, time_limit: Duration) -> OutputCounts {
        let deadline = Instant::now() + time_limit;
        let left = || deadline.saturating_duration_since(Instant::now());
        let output = self.outputs.finish(left());
        let stands_by = self.history.stands_by();
        let snapshot = Snapshot {
            rules: self.detection.rule_count(),
            pipeline,
            detection: self.detection.counts(),
            output,
            history: self.history.close(left().max(LEAST_FOR_EACH)),
            log_lines_lost: self.dropped_lines.count(),
            notices: notice::counts().to_vec(),
        };
        report::summary(&snapshot);
        if let Some(metrics) = self.metrics
            && !stands_by
        {
            metrics.finish(snapshot, left().max(LEAST_FOR_EACH));
        }
        output
    }

    fn notice(&mut self, record: &Record, losses: &Losses) {
        let Alerting {
            detection,
            history,
            outputs,
            ..
        } = self;
        detection.notice(record, history, &mut |matched| {
            let alert = Alert::new(record.to_document(), matched, Vec::new(), None);
            offer(outputs, losses, alert, record.first_date(fields::TIMESTAMP));
        });
    }

    fn release(&mut self, which: Release, losses: &Losses) {
        let outputs = &self.outputs;
        self.detection.release(which, &mut self.history, &mut |event, matched| {
            offer_waiting(outputs, losses, event, matched);
        });
    }
}

/// Rules that take the place of others, and who is told then what is done with them.
pub(crate) struct NewRules {
    pub(crate) rules: Rules,
    pub(crate) taken: Box<dyn FnOnce(&str) + Send>,
}

/// What other threads have for the event thread.
pub(crate) enum Update {
    /// Other rules, from the path that the first ones came by.
    Rules(Box<NewRules>),
    /// What the sensor says of itself, for rules to look at.
    Notice(Box<Record>),
}

impl EventHandler for Alerting {
    type Update = Update;

    fn environment(&self) -> Environment {
        if self.detection.reads(fields::PROCESS_ENV_VARS) {
            Environment::Read
        } else {
            Environment::LeftAlone
        }
    }

    fn stands_by(&self) -> bool {
        self.history.stands_by()
    }

    fn event(&mut self, event: &Event<'_>, losses: &Losses) {
        let time_ns = event.head.time_ns as i64;
        if self.history.stands_by() {
            self.let_go_ns = self.let_go_ns.max(time_ns);
            return;
        }
        if time_ns <= self.theirs_until_ns || time_ns > self.ours_until_ns {
            return;
        }
        let Alerting {
            detection,
            builder,
            history,
            outputs,
            whole,
            ..
        } = self;
        detection.release_due(history, &mut |event, matched| {
            offer_waiting(outputs, losses, event, matched);
        });
        let mut present = None;
        detection.event(
            event,
            builder,
            history,
            || chain_of(event, builder),
            &mut |lookup, matched| {
                let (document, chain, time_ns): &mut (SharedEvent, _, _) = present.get_or_insert_with(|| {
                    builder.fill(whole, event);
                    if let Some(lookup) = lookup {
                        fill_metadata(whole, lookup);
                    }
                    (
                        whole.to_document().into(),
                        chain_of(event, builder),
                        whole.first_date(fields::TIMESTAMP),
                    )
                });
                let alert = Alert::new(document.clone(), matched, chain.clone(), event.container().cloned());
                offer(outputs, losses, alert, *time_ns);
            },
        );
    }

    fn update(&mut self, losses: &Losses, update: Update) {
        self.release(Release::All, losses);
        let stands_by = self.history.stands_by();
        let NewRules { rules, taken } = match update {
            Update::Rules(new) => *new,
            Update::Notice(_) if stands_by => return,
            Update::Notice(record) => return self.notice(&record, losses),
        };
        let before = self.detection.counts().engines;
        self.history.keep_for(rules.longest_window());
        report::reload(&before, &self.detection.replace_rules(rules));
        if !stands_by {
            self.detection.begin(boot_clock_ns(), &mut self.history);
        }
        let doing = if stands_by { "standing by" } else { "watching" };
        let status = format!("{doing} with {} rules", self.detection.rule_count());
        notify::ready(&status);
        taken(&status);
    }

    fn idle(&mut self, losses: &Losses, handled_until_ns: Option<i64>) {
        if self.history.stands_by() {
            self.history.holds_events();
            if let Some(taken) = self.history.take_over() {
                self.take_over(taken);
            }
            return;
        }
        self.release(Release::Ready, losses);
        if let Some(time_ns) = handled_until_ns {
            let outputs = &self.outputs;
            self.history.tick(time_ns / 1_000_000);
            self.detection.advance_to(time_ns, &mut self.history, &mut |matched| {
                let alert = Alert::new(Document::new(), matched, Vec::new(), None);
                offer(outputs, losses, alert, Some(WallClock::read().at(time_ns as u64)));
            });
        }
        for (rule, number) in self.evictions.report_new(|| self.detection.counts().engines) {
            notice::raise(Notice::RuleForgot { rule }, None, number);
        }
    }

    fn detaching(&mut self, boot_clock_ns: i64) {
        if self.history.watched_until(boot_clock_ns) {
            self.ours_until_ns = boot_clock_ns;
        }
    }

    fn finish(&mut self, losses: &Losses) {
        self.release(Release::All, losses);
        let outputs = &self.outputs;
        self.detection.finish(&mut self.history, &mut |matched| {
            outputs.offer(Alert::new(Document::new(), matched, Vec::new(), None));
        });
    }

    fn counted(&mut self, counts: &PipelineCounts) {
        if let Some(metrics) = &mut self.metrics
            && !self.history.stands_by()
        {
            metrics.offer(|| Snapshot {
                rules: self.detection.rule_count(),
                pipeline: *counts,
                detection: self.detection.counts(),
                output: self.outputs.counts(),
                history: self.history.counts(),
                log_lines_lost: self.dropped_lines.count(),
                notices: notice::counts().to_vec(),
            });
        }
    }

    fn may_sleep(&self) -> Duration {
        if self.detection.has_waiting_events() {
            WAITING_POLL_INTERVAL
        } else {
            IDLE
        }
    }
}

/// Hands on an alert about an event that had to wait.
fn offer_waiting(outputs: &Router, losses: &Losses, event: &WaitingEvent<Vec<ChainLink>>, matched: Match<'_>) {
    let alert = Alert::new(
        event.record.to_document(),
        matched,
        event.context.clone(),
        Some(event.container.clone()),
    );
    offer(outputs, losses, alert, event.record.first_date(fields::TIMESTAMP));
}

/// Hands on an alert about an event of this time.
fn offer(outputs: &Router, losses: &Losses, mut alert: Alert, time_ns: Option<i64>) {
    if let Some(time_ns) = time_ns {
        alert.note_losses(losses, time_ns);
    }
    outputs.offer(alert);
}
