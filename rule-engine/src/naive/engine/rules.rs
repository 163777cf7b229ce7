//! Rules of all types, each with its text and its definition.

use super::Event;

/// A rule: as its file says it, and as the judge sees it.
pub(super) struct Judged {
    pub id: &'static str,
    pub body: &'static str,
    /// Whether an event satisfies its query and exceptions; a sequence looks at all.
    pub takes: fn(&Event) -> bool,
    pub then: Then,
    pub max_signals: u64,
    pub interval: i64,
    pub suppression: Option<Suppression>,
}

pub(super) enum Then {
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

pub(super) struct Suppression {
    pub by: &'static [&'static str],
    pub missing: Missing,
    pub duration: i64,
}

/// What an event is that lacks a field.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Missing {
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

pub(super) const RULE_COUNT: usize = 17;

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
    Judged {
        id: "sequence of addresses",
        body: "type = \"eql\"\nquery = '''sequence by source.ip with maxspan=1m \
            [process where process.name == \"a\" and source.ip in (\"::ffff:10.0.0.1\", \"2001:DB8:0::1\")] \
            [process where process.name == \"b\" and not source.ip in (\"10.0.0.9\", \"::1\")]'''\n",
        then: Then::Sequence {
            by: &["source.ip"],
            joins: Missing::Excluded,
            stages: &['a', 'b'],
            missing: &[None, None, None],
            until: NEVER,
            span: 60,
        },
        ..PLAIN
    },
    Judged {
        id: "threshold of any case",
        body: "type = \"threshold\"\nquery = 'source.ip:\"::ffff:10.0.0.1\" and acme.count:4 and not acme.count:70'\n\
            from = \"now-1m\"\n[rule.threshold]\nfield = [\"user.name.caseless\"]\nvalue = 3\n\
            [engine.schema]\nacme.count = \"long\"\n",
        takes: |event| matches!(event.spelt, Some((0, _))),
        then: Then::Threshold {
            field: "user.name.caseless",
            events: 3,
            window: 60,
            names: 0,
        },
        ..PLAIN
    },
    Judged {
        id: "terms of addresses",
        body: "type = \"new_terms\"\nquery = 'event.action:exec and user.name.text:(ann or \"b BOB\" or B)'\n\
            new_terms_fields = [\"source.ip\"]\nhistory_window_start = \"now-5m\"\n",
        takes: |event| !event.is_fork && event.spelt.is_some(),
        then: Then::NewTerms {
            fields: &["source.ip"],
            window: 300,
            learn_for: 0,
        },
        ..PLAIN
    },
    Judged {
        id: "suppressed by own",
        body: "type = \"eql\"\nquery = '''any where user.name.caseless == \"ann\" or acme.count == 70'''\n\
            [rule.alert_suppression]\ngroup_by = [\"acme.count\", \"source.ip\"]\n\
            duration = { value = 1, unit = \"m\" }\n[engine.schema]\nacme.count = \"long\"\n",
        takes: |event| event.spelt.is_some(),
        suppression: Some(Suppression {
            by: &["acme.count", "source.ip"],
            missing: Missing::Joins,
            duration: 60,
        }),
        ..PLAIN
    },
];
