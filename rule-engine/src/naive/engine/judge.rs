//! The judge: rules of all types, each with its text and its definition, and what follows from the list of all events.

use std::collections::BTreeMap;

use super::super::sequence::{batch, without_unwanted};
use super::{CONTAINERS, Event, Said};

/// A rule: as its file says it, and as the judge sees it.
pub(super) struct Judged {
    pub id: &'static str,
    pub body: &'static str,
    /// Whether an event satisfies its query and exceptions; a sequence looks at all.
    takes: fn(&Event) -> bool,
    then: Then,
    max_signals: u64,
    interval: i64,
    suppression: Option<Suppression>,
}

enum Then {
    Alert,
    NewTerms {
        fields: &'static [&'static str],
        window: i64,
        learn_for: i64,
    },
    Threshold {
        field: &'static str,
        events: usize,
        window: i64,
        /// So many different names.
        names: usize,
    },
    /// Of names, of which some must be missing before, between and behind them.
    Sequence {
        by: &'static [&'static str],
        joins: Missing,
        stages: &'static [char],
        missing: &'static [Option<char>],
        until: char,
        span: i64,
    },
}

struct Suppression {
    by: &'static [&'static str],
    missing: Missing,
    duration: i64,
}

/// What an event is that lacks a field.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Missing {
    Excluded,
    Joins,
}

/// No event has this name.
const NEVER: char = '-';

const PLAIN: Judged = Judged {
    id: "",
    body: "",
    takes: |_| true,
    then: Then::Alert,
    max_signals: 100,
    interval: 300,
    suppression: None,
};

pub(super) const RULE_COUNT: usize = 13;

pub(super) static RULES: [Judged; RULE_COUNT] = [
    Judged {
        id: "limited",
        body: "type = \"eql\"\nquery = 'process where process.name in (\"a\", \"b\")'\nmax_signals = 2\ninterval = \"1m\"\n",
        takes: |event| matches!(event.name, 'a' | 'b'),
        max_signals: 2,
        interval: 60,
        ..PLAIN
    },
    Judged {
        id: "sequence",
        body: "type = \"eql\"\nquery = '''sequence by user.id with maxspan=1m [process where process.name == \"a\"] \
            [process where process.name == \"b\"] until [process where process.name == \"d\"]'''\n",
        then: Then::Sequence {
            by: &["user.id"],
            joins: Missing::Excluded,
            stages: &['a', 'b'],
            missing: &[None, None, None],
            until: 'd',
            span: 60,
        },
        ..PLAIN
    },
    Judged {
        id: "runs",
        body: "type = \"eql\"\nquery = '''sequence by ?user.id, process.args with maxspan=1m \
            [process where process.name == \"a\"] with runs=2 [process where process.name == \"b\"]'''\n",
        then: Then::Sequence {
            by: &["user.id", "process.args"],
            // Arguments that are missing never join.
            joins: Missing::Joins,
            stages: &['a', 'a', 'b'],
            missing: &[None, None, None, None],
            until: NEVER,
            span: 60,
        },
        ..PLAIN
    },
    Judged {
        id: "missing",
        body: "type = \"eql\"\nquery = '''sequence by user.id with maxspan=30s [process where process.name == \"a\"] \
            ![process where process.name == \"c\"]'''\n",
        then: Then::Sequence {
            by: &["user.id"],
            joins: Missing::Excluded,
            stages: &['a'],
            missing: &[None, Some('c')],
            until: NEVER,
            span: 30,
        },
        ..PLAIN
    },
    Judged {
        id: "missing, limited",
        body: "type = \"eql\"\nmax_signals = 1\ninterval = \"1m\"\nquery = '''sequence by user.id with maxspan=20s \
            [process where process.name == \"a\"] [process where process.name == \"b\"] \
            ![process where process.name == \"c\"]'''\n",
        then: Then::Sequence {
            by: &["user.id"],
            joins: Missing::Excluded,
            stages: &['a', 'b'],
            missing: &[None, None, Some('c')],
            until: NEVER,
            span: 20,
        },
        max_signals: 1,
        interval: 60,
        ..PLAIN
    },
    Judged {
        id: "missing between",
        body: "type = \"eql\"\nquery = '''sequence by process.args with maxspan=40s ![process where process.name == \"c\"] \
            [process where process.name == \"a\"] ![process where process.name == \"d\"] \
            [process where process.name == \"b\"]'''\n",
        then: Then::Sequence {
            by: &["process.args"],
            joins: Missing::Excluded,
            stages: &['a', 'b'],
            missing: &[Some('c'), Some('d'), None],
            until: NEVER,
            span: 40,
        },
        ..PLAIN
    },
    Judged {
        id: "threshold",
        body: "type = \"threshold\"\nquery = 'process.name:(a or c)'\nfrom = \"now-1m\"\n\
            [rule.threshold]\nfield = [\"user.id\"]\nvalue = 3\n",
        takes: |event| matches!(event.name, 'a' | 'c'),
        then: Then::Threshold {
            field: "user.id",
            events: 3,
            window: 60,
            names: 0,
        },
        ..PLAIN
    },
    Judged {
        id: "threshold, names",
        body: "type = \"threshold\"\nquery = 'process.name:*'\nfrom = \"now-1m\"\n\
            [rule.threshold]\nfield = [\"process.args\"]\nvalue = 3\n\
            [[rule.threshold.cardinality]]\nfield = \"process.name\"\nvalue = 2\n\
            [rule.alert_suppression]\nduration = { value = 2, unit = \"m\" }\n",
        then: Then::Threshold {
            field: "process.args",
            events: 3,
            window: 60,
            names: 2,
        },
        suppression: Some(Suppression {
            by: &[],
            missing: Missing::Joins,
            duration: 120,
        }),
        ..PLAIN
    },
    Judged {
        id: "suppressed",
        body: "type = \"query\"\nquery = 'process.name:(b or c)'\n[rule.alert_suppression]\n\
            group_by = [\"process.name\", \"user.id\"]\nduration = { value = 1, unit = \"m\" }\n",
        takes: |event| matches!(event.name, 'b' | 'c'),
        suppression: Some(Suppression {
            by: &["process.name", "user.id"],
            missing: Missing::Joins,
            duration: 60,
        }),
        ..PLAIN
    },
    Judged {
        id: "suppressed, strict",
        body: "type = \"query\"\nquery = 'process.name:(a or d)'\nmax_signals = 3\ninterval = \"2m\"\n\
            [rule.alert_suppression]\ngroup_by = [\"process.args\", \"user.id\"]\n\
            missing_fields_strategy = \"doNotSuppress\"\nduration = { value = 40, unit = \"s\" }\n",
        takes: |event| matches!(event.name, 'a' | 'd'),
        max_signals: 3,
        interval: 120,
        suppression: Some(Suppression {
            by: &["process.args", "user.id"],
            missing: Missing::Excluded,
            duration: 40,
        }),
        ..PLAIN
    },
    Judged {
        id: "terms",
        body: "type = \"new_terms\"\nquery = 'event.action:exec'\n[rule.new_terms]\nfield = \"new_terms_fields\"\n\
            value = [\"process.name\", \"user.id\"]\n[[rule.new_terms.history_window_start]]\n\
            field = \"history_window_start\"\nvalue = \"now-5m\"\n[engine]\nlearn_for = \"2m\"\n",
        takes: |event| !event.is_fork,
        then: Then::NewTerms {
            fields: &["process.name", "user.id"],
            window: 300,
            learn_for: 120,
        },
        ..PLAIN
    },
    Judged {
        id: "terms, limited",
        body: "type = \"new_terms\"\nquery = 'event.action:exec'\nmax_signals = 2\ninterval = \"1m\"\n[rule.new_terms]\n\
            field = \"new_terms_fields\"\nvalue = [\"process.args\", \"process.name\", \"user.id\"]\n\
            [[rule.new_terms.history_window_start]]\nfield = \"history_window_start\"\nvalue = \"now-2m\"\n",
        takes: |event| !event.is_fork,
        then: Then::NewTerms {
            fields: &["process.args", "process.name", "user.id"],
            window: 120,
            learn_for: 0,
        },
        max_signals: 2,
        interval: 60,
        ..PLAIN
    },
    Judged {
        id: "excepted",
        body: "type = \"query\"\nquery = 'process.name:(b or c)'\n[[rule.exceptions_list]]\n\
            expire_time = \"1970-01-01T00:03:00Z\"\n\
            entries = [{ field = \"process.name\", operator = \"included\", type = \"match\", value = \"b\" }]\n",
        takes: |event| event.name == 'c' || event.name == 'b' && event.stamp_ms >= 180_000,
        ..PLAIN
    },
];

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

    /// Each combination of one value of each field.
    fn groups(&self, fields: &[&str], missing: Missing) -> Vec<Group> {
        let mut groups: Vec<Group> = vec![Vec::new()];
        for field in fields {
            let mut values: Vec<Option<String>> = match *field {
                "process.name" => vec![Some(self.name.to_string())],
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
