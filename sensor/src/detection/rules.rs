//! The rules of live detection, by whether an event's verdict may have to wait.

use std::sync::Arc;
use std::time::Duration;

use rule_engine::{
    CheckedRule, Engine, EngineCounters, EngineOptions, FieldId, Match, Record, RuleChanges, TermHistory,
};

use crate::event::EventKind;
use crate::record::{ENGINE_FIELDS, SCHEMA, fill_kind};

/// Compiled rules.
pub(crate) struct Rules {
    /// Read what the kernel reports, and nothing else.
    immediate: Arc<rule_engine::Rules>,
    /// Read what only a container engine can report, too.
    deferred: Arc<rule_engine::Rules>,
}

impl Rules {
    pub(crate) fn compile(rules: Vec<CheckedRule>) -> Self {
        let (deferred, immediate) = rules
            .into_iter()
            .partition(|rule| ENGINE_FIELDS.iter().any(|field| rule.reads(*field)));
        Rules {
            immediate: rule_engine::Rules::compile(&SCHEMA, immediate),
            deferred: rule_engine::Rules::compile(&SCHEMA, deferred),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.immediate.infos().len() + self.deferred.infos().len()
    }

    /// Whether the verdict of some rule can depend on the field.
    pub(crate) fn reads(&self, field: FieldId) -> bool {
        self.immediate.reads(field) || self.deferred.reads(field)
    }

    /// The longest history that any rule looks at.
    pub(crate) fn longest_window(&self) -> Duration {
        self.immediate.longest_window().max(self.deferred.longest_window())
    }
}

/// Running rules. A rule is in one engine alone, so each sees all events in one order.
pub(super) struct Engines {
    immediate: Engine,
    deferred: Engine,
}

impl Engines {
    pub(super) fn new(rules: Rules, options: EngineOptions) -> Self {
        Engines {
            immediate: Engine::new(rules.immediate, options),
            deferred: Engine::new(rules.deferred, options),
        }
    }

    /// Goes on with other rules; a rule that means the same as before is in the same engine as before.
    pub(super) fn replace_rules(&mut self, rules: Rules) -> Vec<RuleChanges> {
        vec![
            self.immediate.replace_rules(rules.immediate),
            self.deferred.replace_rules(rules.deferred),
        ]
    }

    /// The rules run from this time on.
    pub(super) fn begin(&mut self, time_ns: i64, history: &mut dyn TermHistory) {
        self.immediate.begin(time_ns, history);
        self.deferred.begin(time_ns, history);
    }

    /// Whether the verdict of some rule can depend on the field.
    pub(super) fn read(&self, field: FieldId) -> bool {
        self.all().iter().any(|engine| engine.rules().reads(field))
    }

    /// How many rules there are.
    pub(super) fn rule_count(&self) -> usize {
        self.all().iter().map(|engine| engine.rules().infos().len()).sum()
    }

    /// Whether some rule reads what a container engine reports.
    pub(super) fn has_deferred_rules(&self) -> bool {
        !self.deferred.rules().infos().is_empty()
    }

    /// The kinds of events that some rule may be about, each with an empty record that takes only what such rules look at.
    pub(super) fn concerned(&self) -> Vec<(EventKind, Record)> {
        let record_of = |kind: EventKind| {
            let mut record = Record::with_schema(&SCHEMA);
            fill_kind(&mut record, kind);
            let is_concerned = self.all().iter().any(|engine| engine.may_concern(&record));
            is_concerned.then(|| (kind, self.record_of_all(|rules| rules.narrow_record_of_kind(&record))))
        };
        EventKind::ALL.into_iter().filter_map(record_of).collect()
    }

    /// An empty record that takes only what tells most events to concern no rule.
    pub(super) fn program_record(&self) -> Record {
        self.record_of_all(rule_engine::Rules::program_record)
    }

    /// An empty record that takes what that of any engine takes.
    fn record_of_all(&self, record_of: impl Fn(&rule_engine::Rules) -> Record) -> Record {
        let records = self.all().map(|engine| record_of(engine.rules()));
        Record::only(&SCHEMA, |field| records.iter().any(|record| record.wants(field)))
    }

    /// Whether a rule may take in an event of which the record has only that, with the container's metadata.
    pub(super) fn may_take_in(&mut self, program: &Record) -> bool {
        self.immediate.may_take_in(program) || self.deferred.may_take_in(program)
    }

    /// As of an event of this time that no rule takes in. `has_waiting` says whether the rules that read metadata have
    /// yet to see events before it.
    pub(super) fn pass(
        &mut self,
        time_ns: Option<i64>,
        has_waiting: bool,
        history: &mut dyn TermHistory,
        on_match: &mut dyn FnMut(Match<'_>),
    ) {
        self.immediate.pass(time_ns, None, history, on_match);
        if !has_waiting {
            self.deferred.pass(time_ns, None, history, on_match);
        }
    }

    /// Evaluates the rules that read no metadata.
    pub(super) fn evaluate_immediate(
        &mut self,
        record: &Record,
        history: &mut dyn TermHistory,
        on_match: &mut dyn FnMut(Match<'_>),
    ) {
        self.immediate.evaluate(record, history, on_match);
    }

    /// Evaluates the rules that read metadata, on a record that has it.
    pub(super) fn evaluate_deferred(
        &mut self,
        record: &Record,
        history: &mut dyn TermHistory,
        on_match: &mut dyn FnMut(Match<'_>),
    ) {
        self.deferred.evaluate(record, history, on_match);
    }

    /// Reports what is certain at this time; of the rules that read metadata, what is so before `oldest_waiting_ns`, the
    /// time of an event that they have yet to see.
    pub(super) fn advance_to(
        &mut self,
        time_ns: i64,
        oldest_waiting_ns: Option<i64>,
        history: &mut dyn TermHistory,
        on_match: &mut dyn FnMut(Match<'_>),
    ) {
        self.immediate.advance_to(time_ns, history, on_match);
        let deferred_ns = oldest_waiting_ns.map_or(time_ns, |oldest_ns| oldest_ns.min(time_ns));
        self.deferred.advance_to(deferred_ns, history, on_match);
    }

    /// Reports what is still to be told when there will be no more events.
    pub(super) fn finish(&mut self, history: &mut dyn TermHistory, on_match: &mut dyn FnMut(Match<'_>)) {
        self.immediate.finish(history, on_match);
        self.deferred.finish(history, on_match);
    }

    pub(super) fn counters(&self) -> Vec<EngineCounters> {
        self.all().into_iter().map(Engine::counters).collect()
    }

    fn all(&self) -> [&Engine; 2] {
        [&self.immediate, &self.deferred]
    }
}

#[cfg(test)]
mod memory;
#[cfg(test)]
mod tests {
    use super::*;

    use rule_engine::{DataStreams, DocumentReader, MemoryHistory, fields, parse_rule};

    use crate::event::ProcessAction;
    use crate::record::parse_options;

    fn rule(query: &str) -> CheckedRule {
        let text = format!(
            "[rule]\nname = \"one\"\ndescription = \"d\"\nrule_id = \"one\"\nrisk_score = 1\nseverity = \"low\"\n\
             type = \"eql\"\nlanguage = \"eql\"\nquery = '{query}'\n"
        );
        parse_rule(&text, &parse_options(DataStreams::default())).expect("a rule")
    }

    #[test]
    fn only_rules_that_read_what_an_engine_reports_may_have_to_wait() {
        let immediate = [
            r#"process where container.id != null"#,
            r#"process where process.name == "sh" and tidewaiter.container.nested_in != null"#,
        ];
        let deferred = [
            r#"process where container.image.name : "*/web""#,
            r#"process where orchestrator.namespace == "shop""#,
            r#"process where not container.security_context.privileged == true"#,
        ];
        let rules = Rules::compile(immediate.iter().chain(&deferred).map(|query| rule(query)).collect());
        assert_eq!(rules.immediate.infos().len(), immediate.len());
        assert_eq!(rules.deferred.infos().len(), deferred.len());
        assert_eq!(rules.count(), immediate.len() + deferred.len());
        let engines = Engines::new(rules, EngineOptions::default());
        for (_, record) in engines.concerned() {
            for field in ["container.image.name", "process.name"] {
                assert!(record.wants(record.schema().field(field).expect("a field")), "{field}");
            }
        }
    }

    #[test]
    fn of_each_kind_of_event_the_record_takes_what_rules_about_it_read() {
        let rules = [
            r#"process where event.action == "exec" and process.name == "sh""#,
            r#"process where event.action == "end" and process.exit_code == 1 and container.image.name == "x""#,
        ];
        let engines = Engines::new(
            Rules::compile(rules.map(rule).into_iter().collect()),
            EngineOptions::default(),
        );
        let wanted = |(kind, record): (EventKind, Record)| {
            let EventKind::Process(action) = kind;
            (
                action,
                [fields::PROCESS_NAME, fields::PROCESS_EXIT_CODE].map(|field| record.wants(field)),
            )
        };
        let found: Vec<_> = engines.concerned().into_iter().map(wanted).collect();
        assert_eq!(
            found,
            [
                (ProcessAction::Executed, [true, false]),
                (ProcessAction::Ended, [false, true])
            ]
        );
    }

    #[test]
    fn a_rule_that_stays_keeps_what_it_remembers_over_a_reload() {
        let sequence =
            r#"sequence by process.pid [process where process.name == "a"] [process where process.name == "b"]"#;
        let deferred = r#"process where container.image.name : "*/web""#;
        let compile = |queries: &[&str]| Rules::compile(queries.iter().map(|query| rule(query)).collect());
        let mut engines = Engines::new(compile(&[sequence]), EngineOptions::default());
        let mut matches = 0;
        let mut history = MemoryHistory::default();
        let mut see = |engines: &mut Engines, name: &str| {
            let json = format!(
                r#"{{"@timestamp": "2026-11-22T00:00:00Z", "event.category": "process", "process": {{"pid": 7, "name": "{name}"}}}}"#
            );
            let mut record = Record::with_schema(&SCHEMA);
            DocumentReader::new(&record)
                .read(&json, &mut record)
                .expect("a document");
            engines.evaluate_immediate(&record, &mut history, &mut |_| matches += 1);
            matches
        };
        assert_eq!(see(&mut engines, "a"), 0);
        let changes = engines.replace_rules(compile(&[sequence, deferred]));
        let kept: usize = changes.iter().map(|changes| changes.kept.len()).sum();
        assert_eq!((kept, engines.rule_count(), engines.has_deferred_rules()), (1, 2, true));
        assert_eq!(see(&mut engines, "b"), 1);
    }
}
