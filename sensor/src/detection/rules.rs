//! The rules of live detection, by whether an event's verdict may have to wait.

use std::sync::Arc;
use std::time::Duration;

use rule_engine::record::Record;
use rule_engine::rule::CheckedRule;
use rule_engine::schema::FieldId;
use rule_engine::{Engine, EngineCounters, EngineOptions};

use crate::alert::Alert;
use crate::event::EventKind;
use crate::history::History;
use crate::record::{ENGINE_FIELDS, fill_kind};
use crate::text::document::Document;

/// Compiled rules.
pub(crate) struct Rules {
    /// Read what the kernel tells, and nothing else.
    prompt: Arc<rule_engine::Rules>,
    /// Read what only a container engine can tell, too.
    patient: Arc<rule_engine::Rules>,
}

impl Rules {
    pub(crate) fn compile(rules: Vec<CheckedRule>) -> Self {
        let (patient, prompt) = rules
            .into_iter()
            .partition(|rule| ENGINE_FIELDS.iter().any(|field| rule.reads(*field)));
        Rules {
            prompt: rule_engine::Rules::compile(prompt),
            patient: rule_engine::Rules::compile(patient),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.prompt.infos().len() + self.patient.infos().len()
    }

    /// Whether the verdict of some rule can depend on the field.
    pub(crate) fn reads(&self, field: FieldId) -> bool {
        self.prompt.reads(field) || self.patient.reads(field)
    }

    /// The longest history that any rule looks at.
    pub(crate) fn longest_window(&self) -> Duration {
        self.prompt.longest_window().max(self.patient.longest_window())
    }

    /// An empty record that takes only what some rule looks at.
    pub(crate) fn narrow_record(&self) -> Record {
        let prompt = self.prompt.narrow_record();
        let patient = self.patient.narrow_record();
        Record::only(|field| prompt.wants(field) || patient.wants(field))
    }
}

/// Running rules. A rule is in one engine alone, so each sees all events in one order.
pub(crate) struct Engines {
    prompt: Engine,
    /// `None` if no rule reads what a container engine tells.
    patient: Option<Engine>,
}

impl Engines {
    pub(crate) fn new(rules: Rules, options: EngineOptions) -> Self {
        let has_patient = !rules.patient.infos().is_empty();
        Engines {
            prompt: Engine::new(rules.prompt, options),
            patient: has_patient.then(|| Engine::new(rules.patient, options)),
        }
    }

    /// Whether the verdict of some rule can depend on the field.
    pub(crate) fn read(&self, field: FieldId) -> bool {
        self.all().any(|engine| engine.rules().reads(field))
    }

    /// How many rules there are.
    pub(crate) fn rule_count(&self) -> usize {
        self.all().map(|engine| engine.rules().infos().len()).sum()
    }

    /// Whether some rule reads what a container engine tells.
    pub(crate) fn has_patient_rules(&self) -> bool {
        self.patient.is_some()
    }

    /// The kinds of events that some rule may be about.
    pub(crate) fn concerned(&self) -> Vec<EventKind> {
        let is_concerned = |kind: &EventKind| {
            let mut record = Record::new();
            fill_kind(&mut record, *kind);
            self.all().any(|engine| engine.may_concern(&record))
        };
        EventKind::ALL.into_iter().filter(is_concerned).collect()
    }

    /// What the rules that read no metadata make of a record.
    pub(crate) fn prompt_alerts(&mut self, history: &mut History, record: &Record) -> Vec<Alert> {
        alerts(&mut self.prompt, history, record)
    }

    /// What the rules that read metadata make of a record that has it.
    pub(crate) fn patient_alerts(&mut self, history: &mut History, record: &Record) -> Vec<Alert> {
        self.patient
            .as_mut()
            .map_or_else(Vec::new, |engine| alerts(engine, history, record))
    }

    pub(crate) fn counters(&self) -> Vec<EngineCounters> {
        self.all().map(Engine::counters).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Engine> {
        [Some(&self.prompt), self.patient.as_ref()].into_iter().flatten()
    }
}

/// Alerts that still lack their event.
fn alerts(engine: &mut Engine, history: &mut History, record: &Record) -> Vec<Alert> {
    let mut alerts = Vec::new();
    engine.evaluate(record, history, &mut |matched| {
        alerts.push(Alert::new(Document::new(), matched, Vec::new()));
    });
    alerts
}

#[cfg(test)]
mod tests {
    use super::*;
    use rule_engine::rule::parse_file;

    fn rule(query: &str) -> CheckedRule {
        let text = format!(
            "[rule]\nname = \"one\"\ndescription = \"d\"\nrule_id = \"one\"\nrisk_score = 1\nseverity = \"low\"\n\
             type = \"eql\"\nlanguage = \"eql\"\nquery = '{query}'\n"
        );
        parse_file("rule.toml", &text).rule.expect("a rule")
    }

    #[test]
    fn only_rules_that_read_what_an_engine_tells_may_have_to_wait() {
        let prompt = [
            r#"process where container.id != null"#,
            r#"process where process.name == "sh" and tidewaiter.container.nested_in != null"#,
        ];
        let patient = [
            r#"process where container.image.name : "*/web""#,
            r#"process where orchestrator.namespace == "shop""#,
            r#"process where not container.security_context.privileged == true"#,
        ];
        let rules = Rules::compile(prompt.iter().chain(&patient).map(|query| rule(query)).collect());
        assert_eq!(rules.prompt.infos().len(), prompt.len());
        assert_eq!(rules.patient.infos().len(), patient.len());
        assert_eq!(rules.count(), prompt.len() + patient.len());
        let record = rules.narrow_record();
        for field in ["container.image.name", "process.name"] {
            assert!(record.wants(FieldId::by_name(field).expect("a field")), "{field}");
        }
    }
}
