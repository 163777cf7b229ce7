//! The judge: what follows for each rule from the list of all events.

use std::collections::BTreeMap;

use super::super::sequence::{batch, without_unwanted};
use super::rules::{Judged, Missing, RULE_COUNT, RULES, Suppression, Then};
use super::{ADDRESSES, CONTAINERS, COUNTS, Event, Said, USER_NAMES};

/// The values of an event that its keys are made of, one of each field; `None` for one that is missing.
type Group = Vec<Option<String>>;

/// What is known of a rule's alerts and terms.
#[derive(Default)]
struct Known {
    /// By owner: the beginning of the interval, alerts, and how many were held back.
    intervals: BTreeMap<&'static str, (i64, u64, u64)>,
    /// Sequences whose time has passed.
    passed: Vec<Vec<usize>>,
    threshold_alerts: BTreeMap<Group, i64>,
    suppressed: BTreeMap<(Group, &'static str), i64>,
    terms: Vec<(Vec<String>, i64)>,
}

/// What has been shown so far, and when time passed alone.
#[derive(Default)]
pub(super) struct Judge {
    pub events: Vec<Event>,
    known: [Known; RULE_COUNT],
}

impl Judge {
    /// What becomes certain by this time alone.
    pub(super) fn pass(&mut self, second: i64) -> Vec<Said> {
        let mut said: Vec<Said> = Vec::new();
        for (rule, known) in RULES.iter().zip(&mut self.known) {
            known.intervals.retain(|owner, (start, _, held_back)| {
                let is_told = *held_back > 0 && second - *start >= rule.interval;
                if is_told {
                    said.push((rule.id.to_owned(), format!("{held_back} of `{owner}` held back, all")));
                }
                !is_told
            });
        }
        for (rule, known) in RULES.iter().zip(&mut self.known) {
            let Then::Sequence { span, missing, .. } = &rule.then else {
                continue;
            };
            if missing.last() == Some(&None) {
                continue;
            }
            let deadline = |sequence: &[usize]| self.events[sequence[0]].second + span;
            let mut due = complete(&rule.then, &self.events, Filter::None);
            due.retain(|sequence| {
                let is_open = !is_certain(&rule.then, sequence, &self.events);
                is_open && deadline(sequence) < second && !known.passed.contains(sequence)
            });
            due.sort_by_key(|sequence| (deadline(sequence), sequence[sequence.len() - 1]));
            let matches = complete(&rule.then, &self.events, Filter::Unwanted);
            for sequence in due {
                if matches.contains(&sequence) {
                    let owner = self.events[sequence[sequence.len() - 1]].owner();
                    known.judge(rule, &[], owner, second, numbers(&sequence), &mut said);
                }
                known.passed.push(sequence);
            }
        }
        said.sort();
        said
    }

    pub(super) fn show(&mut self, event: &Event) -> Vec<Said> {
        let mut said = self.pass(event.second);
        self.events.push(event.clone());
        for (rule, known) in RULES
            .iter()
            .zip(&mut self.known)
            .filter(|(rule, _)| (rule.takes)(event))
        {
            for (what, groups) in matches(rule, known, &self.events, event) {
                let groups = groups.unwrap_or_else(|| rule.suppression_groups(event));
                known.judge(rule, &groups, event.owner(), event.second, what, &mut said);
            }
        }
        said.sort();
        said
    }
}

/// The matches that the last event leads to: what is said of each, and the group that it is of, if that is the rule's own.
fn matches(rule: &Judged, known: &mut Known, events: &[Event], event: &Event) -> Vec<(String, Option<Vec<Group>>)> {
    let Event { second, .. } = *event;
    let last = events.len() - 1;
    match &rule.then {
        Then::Alert => vec![(String::new(), None)],
        Then::Sequence { .. } => {
            let is_told =
                |sequence: &Vec<usize>| sequence.last() == Some(&last) && is_certain(&rule.then, sequence, events);
            let found = complete(&rule.then, events, Filter::Unwanted)
                .into_iter()
                .filter(is_told);
            found
                .map(|sequence| (numbers(&sequence[..sequence.len() - 1]), None))
                .collect()
        }
        Then::Threshold {
            field,
            events: wanted,
            window,
            names,
        } => {
            let mut reached = Vec::new();
            for group in event.groups(&[*field], Missing::Excluded) {
                let is_counted = |other: &&Event| {
                    (rule.takes)(other)
                        && other.second >= second - window
                        && other.groups(&[*field], Missing::Excluded).contains(&group)
                };
                let counted: Vec<&Event> = events.iter().filter(is_counted).collect();
                let mut different: Vec<char> = counted.iter().map(|other| other.name).collect();
                different.sort_unstable();
                different.dedup();
                let is_silent = known
                    .threshold_alerts
                    .get(&group)
                    .is_some_and(|last| second - last <= *window);
                if counted.len() >= *wanted && different.len() >= *names && !is_silent {
                    known.threshold_alerts.insert(group.clone(), second);
                    reached.push((String::new(), Some(vec![group])));
                }
            }
            reached
        }
        Then::NewTerms {
            fields,
            window,
            learn_for,
        } => {
            let is_learning = second < events[0].second + learn_for;
            let mut places = match known.intervals.get(event.owner()) {
                Some((start, alerts, _)) if second - start < rule.interval => rule.max_signals - alerts,
                _ => rule.max_signals,
            };
            let mut new = Vec::new();
            for group in event.groups(fields, Missing::Excluded) {
                let term: Vec<String> = group.into_iter().flatten().collect();
                let seen = |(other, at): &(Vec<String>, i64)| *other == term && *at >= second - window;
                let is_new = !known.terms.iter().any(seen);
                if !is_new || is_learning || places > 0 {
                    known.terms.push((term.clone(), second));
                }
                if is_new && !is_learning {
                    places = places.saturating_sub(1);
                    new.push((term.join(","), None));
                }
            }
            new
        }
    }
}

/// Whether a complete sequence is certain with its last event: nothing that must be missing behind it can come in time.
fn is_certain(then: &Then, sequence: &[usize], events: &[Event]) -> bool {
    let Then::Sequence { missing, span, .. } = then else {
        return true;
    };
    let (first, last) = (&events[sequence[0]], &events[sequence[sequence.len() - 1]]);
    missing.last() == Some(&None) || first.second + span <= last.second
}

/// Whether sequences count that are spoiled by what must be missing.
#[derive(PartialEq, Eq)]
enum Filter {
    None,
    Unwanted,
}

/// The complete sequences among all events, of each key by itself.
fn complete(then: &Then, events: &[Event], filter: Filter) -> Vec<Vec<usize>> {
    let Then::Sequence {
        by,
        joins,
        stages,
        missing,
        until,
        span,
    } = then
    else {
        return Vec::new();
    };
    // Of the fields of one rule the first may be optional, no other.
    let groups = |event: &Event| -> Vec<Group> {
        let mut groups = event.groups(by, *joins);
        groups.retain(|group| group[1..].iter().all(Option::is_some));
        groups
    };
    let mut all: Vec<Group> = events.iter().flat_map(&groups).collect();
    all.sort_unstable();
    all.dedup();
    let of_group = |group: &Group| {
        let positions: Vec<usize> = (0..events.len())
            .filter(|at| groups(&events[*at]).contains(group))
            .collect();
        let own: Vec<(i64, char)> = positions
            .iter()
            .map(|at| (events[*at].second, events[*at].name))
            .collect();
        let mut found = batch(&own, stages, Some(*span), *until);
        if filter == Filter::Unwanted && missing.iter().any(Option::is_some) {
            found = without_unwanted(found, &own, missing, *span);
        }
        let at = move |sequence: Vec<usize>| sequence.into_iter().map(|at| positions[at]).collect::<Vec<usize>>();
        found.into_iter().map(at).collect::<Vec<_>>()
    };
    all.iter().flat_map(of_group).collect()
}

/// Events by their numbers, oldest first.
pub(super) fn numbers(sequence: &[usize]) -> String {
    let numbers: Vec<String> = sequence.iter().map(usize::to_string).collect();
    numbers.join("-")
}

impl Judged {
    fn suppression_groups(&self, event: &Event) -> Vec<Group> {
        let groups = |suppression: &Suppression| event.groups(suppression.by, suppression.missing);
        self.suppression.as_ref().map(groups).unwrap_or_default()
    }
}

impl Known {
    /// What becomes of a match.
    fn judge(
        &mut self,
        rule: &Judged,
        groups: &[Group],
        owner: &'static str,
        second: i64,
        what: String,
        said: &mut Vec<Said>,
    ) {
        let duration = rule.suppression.as_ref().map_or(0, |suppression| suppression.duration);
        let is_new = |group: &&Group| {
            let last = self.suppressed.get(&(Group::clone(group), owner));
            last.is_none_or(|last| second - last >= duration)
        };
        let new: Vec<Group> = groups.iter().filter(is_new).cloned().collect();
        if new.is_empty() && !groups.is_empty() {
            return;
        }
        let interval = self.intervals.entry(owner).or_insert((second, 0, 0));
        if second - interval.0 >= rule.interval {
            *interval = (second, 0, 0);
        }
        let mut say = |what: String| said.push((rule.id.to_owned(), what));
        if interval.1 == rule.max_signals {
            interval.2 += 1;
            if interval.2 == 1 {
                say(format!("1 of `{owner}` held back"));
            }
            return;
        }
        interval.1 += 1;
        say(what);
        for group in new.into_iter().filter(|_| duration > 0) {
            self.suppressed.insert((group, owner), second);
        }
    }
}

impl Event {
    fn owner(&self) -> &'static str {
        CONTAINERS[self.container]
    }

    fn spelt(&self, values: &[[&str; 3]; 2]) -> Vec<Option<String>> {
        let spelt = self.spelt.map(|(value, _)| Some(values[value][0].to_owned()));
        spelt.into_iter().collect()
    }

    /// Each combination of one value of each field.
    fn groups(&self, fields: &[&str], missing: Missing) -> Vec<Group> {
        let mut groups: Vec<Group> = vec![Vec::new()];
        for field in fields {
            let mut values: Vec<Option<String>> = match *field {
                "process.name" => vec![Some(self.name.to_string())],
                "source.ip" => self.spelt(&ADDRESSES),
                "user.name.caseless" => self.spelt(&USER_NAMES),
                "acme.count" => self.spelt(&COUNTS),
                "user.id" => self.user.iter().map(|user| Some((*user).to_owned())).collect(),
                _ => self.args.iter().map(|arg| Some(arg.to_string())).collect(),
            };
            if values.is_empty() && missing == Missing::Joins {
                values.push(None);
            }
            let with = |group: &Group| -> Vec<Group> {
                let with = |value: &Option<String>| [group.as_slice(), std::slice::from_ref(value)].concat();
                values.iter().map(with).collect()
            };
            groups = groups.iter().flat_map(with).collect();
        }
        groups
    }
}
