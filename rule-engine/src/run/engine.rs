//! Rules over events: the last stage before an alert.
//!
//! An [`Engine`] holds the state; the [`Rules`] it runs are immutable and may be shared with other engines.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::alert_limiter::{AlertLimiter, Candidate, HeldBack, Verdict};
use super::clock::{EventClock, Moment};
use super::counters::{EngineCounters, RuleCounters};
use super::groups::Room;
use super::growth::{Growth, Suppressed, Told};
use super::history::TermHistory;
use super::intervals::Intervals;
use super::matched::Match;
use super::options::EngineOptions;
use super::pool::Pool;
use super::sequence::Summary;
use super::state::{DetectionState, MatchDetails, Observed, Rooms, RuleState};
use crate::compile::graph::Scratch;
use crate::compile::index::Candidates;
use crate::compile::rules::{CompiledRule, Rules};
use crate::record::Record;
use crate::record::key::owner;
use crate::rule::RuleInfo;
use crate::schema::fields;
use crate::value::hash::{HashMap, HashSet};

/// Runs rules over records, one after the other. Never refuses an event: what it cannot do is counted. Never panics,
/// except on a record of another schema (see `Panics` of [`Engine::evaluate`]).
pub struct Engine {
    rules: Arc<Rules>,
    /// The state of each rule, in the order of the rules.
    states: Vec<RuleState>,
    options: EngineOptions,
    counters: EngineCounters,
    candidates: Candidates,
    scratch: Scratch,
    clock: EventClock,
    /// Since when all rules run; `None` until the first event after they were replaced.
    running_since_ns: Option<i64>,
    intervals: Intervals,
    pool: Pool,
    /// What is to be told next of rules that run no more.
    untold: Vec<(Arc<RuleInfo>, Untold)>,
    /// How many alerts there were that may grow.
    alerts: u64,
}

/// What was to be told of a rule when it was replaced.
enum Untold {
    HeldBack(HeldBack),
    Growth(Growth),
}

/// What happened to each rule when an engine's rules were replaced.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct RuleChanges {
    /// Rules that kept their state.
    pub kept: Vec<Arc<RuleInfo>>,
    /// Rules whose meaning has changed, so their state was dropped. What a new-terms rule has seen is not state of the
    /// engine: its [`TermHistory`] keeps that by `rule_id` and fields.
    pub changed: Vec<Arc<RuleInfo>>,
    /// Rules with a new `rule_id`.
    pub added: Vec<Arc<RuleInfo>>,
    /// Rules whose `rule_id` is gone.
    pub removed: Vec<Arc<RuleInfo>>,
}

impl Engine {
    /// An engine that remembers nothing yet.
    pub fn new(rules: Arc<Rules>, options: EngineOptions) -> Engine {
        let rooms = Rooms::of(options.limits);
        let states: Vec<RuleState> = rules.rules.iter().map(|rule| RuleState::new(rule, &rooms)).collect();
        Engine {
            intervals: Intervals::of(&states, &rooms),
            pool: Pool::of(&states, rooms.room.bytes),
            states,
            candidates: rules.index.scratch(),
            scratch: rules.graph.scratch(),
            rules,
            options,
            counters: EngineCounters::default(),
            clock: EventClock::default(),
            running_since_ns: None,
            untold: Vec::new(),
            alerts: 0,
        }
    }

    /// The rules run from this time on, by a clock that nobody sets, of which the events have times too
    /// ([`Record::set_steady_time`]): the learning period of a new-terms rule that never ran before begins. Without this,
    /// it begins with the first event, whatever that is.
    pub fn begin(&mut self, time_ns: i64, terms: &mut dyn TermHistory) {
        self.clock.follow(time_ns);
        self.start_rules(time_ns, terms);
    }

    fn start_rules(&mut self, time_ns: i64, terms: &mut dyn TermHistory) {
        self.running_since_ns = Some(time_ns);
        for state in &self.states {
            state.detection.begin(time_ns, terms);
        }
    }

    /// Calls `on_match` for each match, after those that only waited for this time, in the order of the rules; for a
    /// new-terms rule once per new combination. Matches beyond a rule's limits are counted instead, and told of in
    /// summaries ([`Match::held_back`]). Allocates nothing for an event that no rule takes in.
    ///
    /// What rules remember goes by [`Record::time`]. One event whose time is wrong changes nothing for the others; where
    /// the times of all go back or ahead, what was remembered before is as long ago as they say.
    ///
    /// # Panics
    /// The record was made for another schema than the rules.
    pub fn evaluate(&mut self, record: &Record, terms: &mut dyn TermHistory, on_match: &mut dyn FnMut(Match<'_>)) {
        assert!(
            record.schema() == self.rules.schema(),
            "the record is of another schema than the rules"
        );
        let moment = self.clock.place(record.steady_time(), record.time());
        self.begin_event(moment, terms, on_match);
        let Engine {
            rules,
            states,
            options,
            counters,
            candidates,
            scratch,
            intervals,
            pool,
            alerts,
            ..
        } = self;
        let event = rules.begin(record, candidates, scratch);
        for position in candidates.rules() {
            counters.candidates += 1;
            let rule = &rules.rules[position];
            let state = &mut states[position];
            if !state.detection.has_use_for(&event, moment) || !rule.takes_in(&event) {
                continue;
            }
            let before = state.bytes();
            let counted = (counters.groups_evicted, counters.group_keys_cut);
            let RuleState { detection, limiter, .. } = state;
            detection.set_room(&options.limits, detection.bytes() + pool.left());
            let owner = owner(record);
            let growing = limiter.grows().then(|| limiter.groups(record, counters));
            // What an alert grows by is known when it has been told.
            let is_suppressed = |groups: &Vec<_>| limiter.is_suppressed(groups, owner, moment);
            let observed = Observed {
                event: &event,
                moment,
                places: match growing.as_ref().is_some_and(is_suppressed) {
                    true => 0,
                    false => limiter.places(owner, moment),
                },
            };
            let found = detection.observe(&observed, *options, terms, counters);
            let grown = (detection.bytes() + limiter.bytes()).saturating_sub(before);
            limiter.set_room(Room {
                keys: options.limits.groups,
                bytes: limiter.bytes() + pool.left().saturating_sub(grown),
            });
            for details in found {
                let MatchDetails {
                    new_terms,
                    earlier_events,
                    group,
                } = details;
                let groups = match (&group, &growing) {
                    (Some((group, _)), _) => vec![*group],
                    (None, Some(groups)) => groups.clone(),
                    (None, None) => limiter.groups(record, counters),
                };
                let threshold = group.map(|(_, result)| result);
                let timestamp_ns = record.first_date(fields::TIMESTAMP);
                let candidate = Candidate {
                    groups: &groups,
                    owner,
                    moment,
                    timestamp_ns,
                    alert: *alerts,
                };
                let mut tell = |held_back| on_match(Match::summary(&rule.info, held_back));
                let verdict = intervals.follow(position, limiter, |limiter, most| {
                    limiter.judge(&candidate, most, counters, &mut tell)
                });
                if let (Verdict::Suppressed, Some(_), Some(moment), [group]) = (&verdict, &growing, moment, &groups[..])
                {
                    let found = Suppressed {
                        new_terms,
                        event: Summary::of(&record.summary()),
                        moment,
                        timestamp_ns,
                    };
                    let grow = |limiter: &mut AlertLimiter, _| limiter.grow(*group, owner, found, counters);
                    let told = intervals.follow(position, limiter, grow);
                    if let Some(told) = told {
                        tell_growth(told, &rule.info, detection, terms, on_match);
                    }
                    continue;
                }
                let Verdict::Alert(alerted) = verdict else {
                    continue;
                };
                let may_grow = growing.is_some() && alerted.is_some();
                let number = may_grow.then_some(*alerts);
                *alerts += u64::from(may_grow);
                let suppression = alerted.filter(|_| limiter.suppresses()).map(|group| match &threshold {
                    Some(result) => result.terms.clone(),
                    None => limiter.terms(group, record),
                });
                counters.matches += 1;
                on_match(Match {
                    new_terms,
                    threshold,
                    suppression,
                    earlier_events: documents(&earlier_events),
                    reason: rule.detection.reason(&event),
                    alert: number,
                    ..Match::new(&rule.info)
                });
            }
            tell_owed(limiter, &rule.info, detection, terms, on_match);
            state.groups_evicted += counters.groups_evicted - counted.0;
            state.group_keys_cut += counters.group_keys_cut - counted.1;
            pool.changed(before, state.bytes());
            if let Some(Moment { now_ns, .. }) = moment {
                let evicted = counters.groups_evicted;
                pool.make_room(states, now_ns, counters);
                if counters.groups_evicted > evicted {
                    for (rule, RuleState { detection, limiter, .. }) in rules.rules.iter().zip(states.iter_mut()) {
                        tell_owed(limiter, &rule.info, detection, terms, on_match);
                    }
                }
            }
        }
        counters.function_combinations_cut += event.combinations_cut();
    }

    /// As [`Engine::evaluate`] of an event that no rule takes in ([`Screen`](crate::Screen), [`Engine::may_take_in`]):
    /// `steady_ns` is its [`Record::steady_time`], `timestamp_ns` its `@timestamp`, which counts where it has no other.
    pub fn pass(
        &mut self,
        steady_ns: Option<i64>,
        timestamp_ns: Option<i64>,
        terms: &mut dyn TermHistory,
        on_match: &mut dyn FnMut(Match<'_>),
    ) {
        let moment = self.clock.place(steady_ns, timestamp_ns);
        self.begin_event(moment, terms, on_match);
    }

    fn begin_event(
        &mut self,
        moment: Option<Moment>,
        terms: &mut dyn TermHistory,
        on_match: &mut dyn FnMut(Match<'_>),
    ) {
        self.counters.events += 1;
        let Some(Moment { now_ns, .. }) = moment else { return };
        if self.running_since_ns.is_none_or(|since_ns| now_ns < since_ns) {
            self.start_rules(now_ns, terms);
        }
        self.conclude(now_ns, terms, on_match);
    }

    /// Calls `on_match` for what is certain once this time has passed, by the clock of the events: sequences that end
    /// with a missing event, summaries of what was held back, and what alerts have grown by. [`Engine::evaluate`] does
    /// this with each event's time; call it when there are no events.
    pub fn advance_to(&mut self, time_ns: i64, terms: &mut dyn TermHistory, on_match: &mut dyn FnMut(Match<'_>)) {
        let now_ns = self.clock.advance_to(time_ns);
        self.conclude(now_ns, terms, on_match);
    }

    /// Calls `on_match` for what alerts have grown by and was not told yet: there will be no more events.
    pub fn finish(&mut self, terms: &mut dyn TermHistory, on_match: &mut dyn FnMut(Match<'_>)) {
        for (position, (rule, state)) in self.rules.rules.iter().zip(&mut self.states).enumerate() {
            let before = state.bytes();
            let RuleState { detection, limiter, .. } = state;
            let due = self
                .intervals
                .follow(position, limiter, |limiter, _| limiter.take_due(i64::MAX));
            for told in due {
                tell_growth(told, &rule.info, detection, terms, on_match);
            }
            self.pool.changed(before, state.bytes());
        }
    }

    fn conclude(&mut self, now_ns: i64, terms: &mut dyn TermHistory, on_match: &mut dyn FnMut(Match<'_>)) {
        for (rule, untold) in self.untold.drain(..) {
            on_match(match untold {
                Untold::HeldBack(held_back) => Match::summary(&rule, held_back),
                Untold::Growth(growth) => Match::growth(&rule, growth),
            });
        }
        while let Some((end_ns, position)) = self.intervals.next_end()
            && end_ns <= now_ns
        {
            let rule = &self.rules.rules[position].info;
            let state = &mut self.states[position];
            let before = state.bytes();
            let RuleState { detection, limiter, .. } = state;
            let mut tell_held_back = |held_back| on_match(Match::summary(rule, held_back));
            let due = self.intervals.follow(position, limiter, |limiter, _| {
                limiter.end_those_over(now_ns, &mut tell_held_back);
                limiter.take_due(now_ns)
            });
            for told in due {
                tell_growth(told, rule, detection, terms, on_match);
            }
            self.pool.changed(before, state.bytes());
        }
        for position in &self.rules.deferred {
            let rule = &self.rules.rules[*position];
            let RuleState { detection, limiter, .. } = &mut self.states[*position];
            let before = detection.bytes();
            let due = detection.take_due(now_ns);
            self.pool.changed(before, detection.bytes());
            for late in due {
                let candidate = Candidate {
                    groups: &[],
                    owner: &late.owner,
                    moment: Some(Moment {
                        time_ns: now_ns,
                        now_ns,
                    }),
                    timestamp_ns: late.timestamp_ns,
                    alert: 0,
                };
                let mut tell = |held_back| on_match(Match::summary(&rule.info, held_back));
                let verdict = self.intervals.follow(*position, limiter, |limiter, most| {
                    limiter.judge(&candidate, most, &mut self.counters, &mut tell)
                });
                if !matches!(verdict, Verdict::Alert(_)) {
                    continue;
                }
                self.counters.matches += 1;
                on_match(Match {
                    past_event: Some(late.event.document()),
                    earlier_events: documents(&late.earlier_events),
                    reason: late.reason,
                    ..Match::new(&rule.info)
                });
            }
        }
    }

    /// The next time at which [`Engine::advance_to`] will report something, unless an event prevents it.
    pub fn next_due_ns(&self) -> Option<i64> {
        let due = |position: &usize| self.states[*position].detection.next_due_ns();
        let ends = self.intervals.next_end().map(|(end_ns, _)| end_ns);
        self.rules.deferred.iter().filter_map(due).chain(ends).min()
    }

    /// Whether evaluating an event can have an effect, given only its `event.category`, `event.type` and `event.action`
    /// in `kind`; if not, it may be skipped.
    pub fn may_concern(&self, kind: &Record) -> bool {
        !self.rules.deferred.is_empty() || !self.rules.index.of_kind(kind).is_empty()
    }

    /// Whether a rule may take in an event of which the record has only what [`Rules::program_record`] takes. If not, the
    /// engine need be told no more of it than its time ([`Engine::pass`]).
    pub fn may_take_in(&mut self, program: &Record) -> bool {
        self.rules
            .may_concern_program(program, &mut self.candidates, &mut self.scratch)
    }

    /// Replaces the rules. A rule with the same `rule_id`, meaning and limits as before keeps its state and counters
    /// and takes on its new name and severity; the state of all others is dropped.
    pub fn replace_rules(&mut self, rules: Arc<Rules>) -> RuleChanges {
        let mut changes = RuleChanges::default();
        let old_rules = std::mem::replace(&mut self.rules, rules);
        let mut old_states: HashMap<(&str, u64), VecDeque<RuleState>> = HashMap::default();
        for (rule, state) in old_rules.rules.iter().zip(self.states.drain(..)) {
            old_states.entry(rule.identity()).or_default().push_back(state);
        }
        let ids =
            |rules: &'_ Rules| -> HashSet<String> { rules.infos().iter().map(|rule| rule.rule_id.clone()).collect() };
        let (old_ids, new_ids) = (ids(&old_rules), ids(&self.rules));
        let rooms = Rooms::of(self.options.limits);
        for rule in &self.rules.rules {
            let kept = old_states.get_mut(&rule.identity()).and_then(VecDeque::pop_front);
            let list = match &kept {
                Some(_) => &mut changes.kept,
                None if old_ids.contains(&rule.info.rule_id) => &mut changes.changed,
                None => &mut changes.added,
            };
            list.push(Arc::clone(&rule.info));
            self.states.push(match kept {
                Some(state) => state.continued_by(rule),
                None => RuleState::new(rule, &rooms),
            });
        }
        for rule in &old_rules.rules {
            let ended = old_states.get_mut(&rule.identity()).and_then(VecDeque::pop_front);
            if let Some(mut state) = ended {
                let untold = &mut self.untold;
                let mut tell = |held_back| untold.push((Arc::clone(&rule.info), Untold::HeldBack(held_back)));
                state.limiter.end_all(&mut tell);
                // Of another rule's history now: what was new to it is not taken as seen.
                let grown = state.limiter.take_due(i64::MAX).into_iter();
                untold.extend(grown.map(|told| (Arc::clone(&rule.info), Untold::Growth(told.growth))));
            }
        }
        self.intervals = Intervals::of(&self.states, &rooms);
        self.pool = Pool::of(&self.states, rooms.room.bytes);
        self.running_since_ns = None;
        let removed = old_rules.infos().iter().filter(|rule| !new_ids.contains(&rule.rule_id));
        changes.removed = removed.cloned().collect();
        self.candidates = self.rules.index.scratch();
        self.scratch = self.rules.graph.scratch();
        changes
    }

    /// The rules that it runs.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// What it did since it was made.
    pub fn counters(&self) -> EngineCounters {
        let count = |(rule, state): (&CompiledRule, &RuleState)| RuleCounters {
            rule_id: rule.info.rule_id.clone(),
            name: rule.info.name.clone(),
            suppressed: state.limiter.suppressed,
            held_back: state.limiter.held_back,
            groups_evicted: state.groups_evicted,
            group_keys_cut: state.group_keys_cut,
        };
        let has_any =
            |rule: &RuleCounters| rule.suppressed + rule.held_back + rule.groups_evicted + rule.group_keys_cut > 0;
        let rules = self.rules.rules.iter().zip(&self.states).map(count);
        EngineCounters {
            rules: rules.filter(has_any).collect(),
            ..self.counters.clone()
        }
    }
}

/// Hands a growth of an alert on, and then takes what it tells as seen.
fn tell_growth(
    told: Told,
    rule: &Arc<RuleInfo>,
    detection: &DetectionState,
    terms: &mut dyn TermHistory,
    on_match: &mut dyn FnMut(Match<'_>),
) {
    let owner = told.growth.owner.clone();
    on_match(Match::growth(rule, told.growth));
    for (new_terms, time_ns) in told.seen {
        detection.see(&new_terms, &owner, time_ns, terms);
    }
}

/// Tells of alerts that grow no more because their groups were given up.
fn tell_owed(
    limiter: &mut AlertLimiter,
    rule: &Arc<RuleInfo>,
    detection: &DetectionState,
    terms: &mut dyn TermHistory,
    on_match: &mut dyn FnMut(Match<'_>),
) {
    for told in limiter.take_owed() {
        tell_growth(told, rule, detection, terms, on_match);
    }
}

fn documents(summaries: &[Summary]) -> Vec<Arc<Map<String, Json>>> {
    summaries.iter().map(Summary::document).collect()
}

#[cfg(test)]
mod tests;
