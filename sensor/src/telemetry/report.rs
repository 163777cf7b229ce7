//! What the sensor says when it ends: what was seen, and every loss with its reason; and what it says of that meanwhile.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use container_engines::EngineStatus;
use rule_engine::{EngineCounters, RuleChanges, RuleCounters, RuleInfo};
use sensor_abi::{LossReason, OWNERS_LIMIT, RecordKind};
use tracing::{debug, info, warn};

use super::counts::{GivenUp, PipelineCounts, Snapshot, Tampered};
use crate::text::escape::Visible;

/// The shortest time between two lines about what rules forgot.
const EVICTION_REPORT_INTERVAL: Duration = Duration::from_secs(60);
/// Why a rule forgets.
const TOO_MANY: &str = "rules together remember too much, this one the most, and of it the containers with the most lost \
     their oldest";
/// Rules that a reload changed, or that forgot something, are named up to this many.
const RULES_NAMED_AT_MOST: usize = 20;

/// The last lines: what was seen, and every loss with its reason.
pub(crate) fn summary(snapshot: &Snapshot) {
    let Snapshot {
        pipeline: counts,
        detection: detected,
        output: written,
        history: remembered,
        ..
    } = snapshot;
    info!(
        "stopped after {} events and {} alerts{}",
        counts.events,
        written.written,
        not_written(written.refused + written.lost)
    );
    losses(counts);
    for engine in &detected.engines {
        rule_engine(engine);
    }
    for (number, what) in [
        (
            detected.without_metadata,
            "events were evaluated before their container was known by name",
        ),
        (written.refused, "alerts were not written: the output was too slow"),
        (
            written.lost,
            "alerts were not written: the output was closed, or could not take them",
        ),
        (
            written.without_metadata.saturating_sub(written.amended),
            "alerts were written before their container was known, and not amended",
        ),
        (remembered.evicted, "terms were forgotten: their rule had too many"),
        (
            remembered.unsaved,
            "terms are not on disk: alerts about them may come again",
        ),
    ] {
        if number > 0 {
            warn!("{number} {what}");
        }
    }
}

/// What the last line says of documents that were not written.
pub(crate) fn not_written(number: u64) -> String {
    match number {
        0 => String::new(),
        _ => format!("; {number} more were not written"),
    }
}

/// Says what was lost since start, a line for each reason; no warning if nothing was.
pub(crate) fn losses(counts: &PipelineCounts) {
    let (received, lost, gaps) = (counts.decode.received, counts.lost.total_numbered(), counts.decode.gaps);
    debug!(
        "the kernel side made {} records; {received} were received and {lost} lost; {gaps} are missing by their numbers",
        counts.produced,
    );
    if received + lost != counts.produced || gaps != lost {
        warn!(
            "the kernel side made {} records, but {received} were received, {lost} counted as lost and {gaps} are \
             missing by their numbers; please report this",
            counts.produced,
        );
    }
    for reason in LossReason::ALL {
        for (number, kind) in counts.lost.of(reason).iter().zip(RecordKind::ALL) {
            if *number > 0 {
                warn!("{number} {} were lost: {}", kind.description(), reason.description());
            }
        }
    }
    for (times, what) in counts.tampered.iter().zip(Tampered::ALL) {
        if *times > 0 {
            warn!("{} ({times} times)", what.description());
        }
    }
    if counts.decode.unfinished > 0 {
        warn!(
            "{} execs announced further arguments or their environment, and not all of it came",
            counts.decode.unfinished
        );
    }
    if counts.decode.damaged > 0 {
        warn!("{} kernel records were damaged", counts.decode.damaged);
    }
    let table = &counts.table;
    for (number, what) in [
        (table.ended_texts_given_up, GivenUp::EndedTexts),
        (table.arguments_cut, GivenUp::Middles),
        (table.ended_given_up, GivenUp::Ended),
        (table.live_texts_given_up, GivenUp::LiveTexts),
        (table.live_given_up, GivenUp::Live),
    ] {
        if number > 0 {
            info!("{number} {}: all together had too many", what.description());
        }
    }
    if table.exits_missed > 0 {
        info!(
            "{} processes were found to have ended without an event of it",
            table.exits_missed
        );
    }
    if counts.unread_users > 0 {
        warn!(
            "files of containers, for users' names and programs, were not read {} times: too many at once, or it took too long",
            counts.unread_users
        );
    }
    if counts.owners_forgotten > 0 {
        info!(
            "the containers of {} cgroups were no longer known to the kernel side, for there were more than {OWNERS_LIMIT}; \
             where one still ran, it shared its room in the ring buffer with those beside it for a time",
            counts.owners_forgotten
        );
    }
}

/// Says how each container engine did that was ever reached.
pub(crate) fn container_engines(engines: &[EngineStatus]) {
    for EngineStatus { socket, counters, .. } in engines {
        if counters.inspections + counters.further_questions == 0 {
            continue;
        }
        info!(
            "{socket}: {} containers known, {} questions about single ones, {} about pods and images",
            counters.known_containers, counters.inspections, counters.further_questions
        );
        for (number, what) in [
            (
                counters.refused_questions,
                "containers were not asked about: too many questions were waiting",
            ),
            (
                counters.evicted_containers,
                "containers were forgotten: there were too many",
            ),
            (
                counters.cut_labels,
                "labels and annotations were cut or left out: too many or too long",
            ),
            (
                counters.cut_answers,
                "answers or entries of listings were cut or passed over: too much, or not to be read",
            ),
            (counters.pauses, "times it said too much, and was read slowly"),
        ] {
            if number > 0 {
                warn!("{socket}: {number} {what}");
            }
        }
    }
}

/// Says what a rule set could not look at, or had to forget.
pub(crate) fn rule_engine(counters: &EngineCounters) {
    for (number, what) in [
        (
            counters.term_combinations_cut,
            "combinations of new terms were not looked at: too many in one event",
        ),
        (
            counters.function_combinations_cut,
            "combinations of values were not computed: too many in one event",
        ),
        (
            counters.events_without_time,
            "times an event without `@timestamp` could not be placed in time",
        ),
    ] {
        if number > 0 {
            warn!("{number} {what}");
        }
    }
    counters.rules.iter().for_each(of_rule);
}

/// Says what a rule could not look at or had to forget, and what became of its alerts that were not to be written.
fn of_rule(rule: &RuleCounters) {
    let name = Visible(&rule.name);
    if rule.suppressed > 0 {
        info!(
            "{} alerts of `{name}` were suppressed as its `alert_suppression` says",
            rule.suppressed
        );
    }
    if rule.held_back > 0 {
        warn!(
            "{} alerts of `{name}` were held back: more than its `max_signals` in an interval",
            rule.held_back
        );
    }
    if rule.groups_evicted > 0 {
        warn!("{} groups of `{name}` were forgotten: {TOO_MANY}", rule.groups_evicted);
    }
    if rule.group_keys_cut > 0 {
        warn!(
            "{} events had more keys for `{name}` than are looked at",
            rule.group_keys_cut
        );
    }
}

/// Says what a reload changed: which rules have forgotten what they remembered. `before` is what was counted until then.
pub(crate) fn reload(before: &[EngineCounters], changes: &[RuleChanges]) {
    let count =
        |list: fn(&RuleChanges) -> &Vec<Arc<RuleInfo>>| -> usize { changes.iter().map(|all| list(all).len()).sum() };
    info!(
        "{} rules go on with what they remember; {} are new or look for something else now, {} are gone",
        count(|all| &all.kept),
        count(|all| &all.added) + count(|all| &all.changed),
        count(|all| &all.removed),
    );
    let changed = changes.iter().flat_map(|all| &all.changed);
    for rule in changed.clone().take(RULES_NAMED_AT_MOST) {
        info!(
            "`{}` looks for something else now: what it remembered of sequences, counts and alerts is dropped",
            Visible(&rule.name)
        );
    }
    // What the engine counted for these is not in the last lines.
    let gone: HashSet<&str> = changes
        .iter()
        .flat_map(|all| all.changed.iter().chain(&all.removed))
        .map(|rule| rule.rule_id.as_str())
        .collect();
    let rules = before.iter().flat_map(|engine| &engine.rules);
    rules
        .filter(|rule| gone.contains(rule.rule_id.as_str()))
        .for_each(of_rule);
}

/// Reports, at most once a minute, which rules had to forget what they remembered.
pub(crate) struct EvictionReport {
    /// By the rules' ids.
    reported: HashMap<String, u64>,
    last_report: Instant,
}

impl Default for EvictionReport {
    fn default() -> Self {
        EvictionReport {
            reported: HashMap::new(),
            last_report: Instant::now(),
        }
    }
}

impl EvictionReport {
    /// Logs what is new, and returns it: the names of the rules that forgot the most, and how much each did.
    pub(crate) fn report_new(&mut self, engines: impl FnOnce() -> Vec<EngineCounters>) -> Vec<(String, u64)> {
        if self.last_report.elapsed() < EVICTION_REPORT_INTERVAL {
            return Vec::new();
        }
        self.last_report = Instant::now();
        let mut new = self.new_of(&engines());
        new.sort_by_key(|(name, number)| (Reverse(*number), name.clone()));
        let unnamed = new.split_off(new.len().min(RULES_NAMED_AT_MOST));
        for (name, number) in &new {
            warn!("{number} groups of `{}` were forgotten: {TOO_MANY}", Visible(name));
        }
        if !unnamed.is_empty() {
            let number: u64 = unnamed.iter().map(|(_, number)| number).sum();
            warn!("{number} groups of {} more rules were forgotten", unnamed.len());
        }
        new
    }

    fn new_of(&mut self, engines: &[EngineCounters]) -> Vec<(String, u64)> {
        let before = std::mem::take(&mut self.reported);
        let mut new = Vec::new();
        for rule in engines.iter().flat_map(|engine| &engine.rules) {
            // A rule that was loaded anew counts from nothing.
            let reported = before.get(&rule.rule_id).filter(|known| **known <= rule.groups_evicted);
            let number = rule.groups_evicted - reported.copied().unwrap_or(0);
            if number > 0 {
                new.push((rule.name.clone(), number));
            }
            self.reported.insert(rule.rule_id.clone(), rule.groups_evicted);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use rule_engine::{
        Engine, EngineLimits, EngineOptions, MemoryHistory, ParseOptions, Record, Rules, Schema, fields, parse_rule,
    };

    #[test]
    fn each_rule_is_said_to_have_forgotten_what_it_forgot_since_the_report_before() {
        let rule = |name: &str| {
            let text = format!(
                "[rule]\nrule_id = \"{name}\"\nname = \"the {name}\"\ndescription = \"d\"\nseverity = \"low\"\n\
                 risk_score = 1\ntype = \"threshold\"\nquery = 'process.name:{name}'\n\
                 [rule.threshold]\nfield = [\"process.pid\"]\nvalue = 2\n"
            );
            parse_rule(&text, &ParseOptions::default()).expect("a sound rule")
        };
        let mut limits = EngineLimits::default();
        limits.groups = 1;
        let options = EngineOptions::default().with_limits(limits).expect("sound limits");
        let new = || {
            let rules = Rules::compile(&Schema::ecs(), vec![rule("one"), rule("two"), rule("quiet")]);
            Engine::new(rules, options)
        };
        let show = |engine: &mut Engine, name: &str, pids: i64| {
            for pid in 0..pids {
                let mut record = Record::new();
                record.text(fields::PROCESS_NAME, name);
                record.long(fields::PROCESS_PID, pid);
                record.date(fields::TIMESTAMP, 0);
                engine.evaluate(&record, &mut MemoryHistory::default(), &mut |_| {});
            }
        };
        let named = |all: &[(&str, u64)]| -> Vec<(String, u64)> {
            let named = |(name, number): &(&str, u64)| ((*name).to_owned(), *number);
            all.iter().map(named).collect()
        };
        let mut report = EvictionReport::default();
        let mut engine = new();
        show(&mut engine, "one", 4);
        show(&mut engine, "two", 3);
        show(&mut engine, "quiet", 1);
        assert_eq!(
            report.new_of(&[engine.counters()]),
            named(&[("the one", 3), ("the two", 2)])
        );
        show(&mut engine, "two", 3);
        assert_eq!(report.new_of(&[engine.counters()]), named(&[("the two", 3)]));
        // Loaded anew, they count from nothing.
        let mut engine = new();
        show(&mut engine, "two", 2);
        assert_eq!(report.new_of(&[engine.counters()]), named(&[("the two", 1)]));
    }
}
