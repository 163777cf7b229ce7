//! Checked rules, compiled together.

use std::sync::Arc;
use std::time::Duration;

use crate::analysis::prerequisite::{Necessary, PartCounts};
use crate::compile::graph::{ConditionGraph, Evaluation, GraphBuilder, Matcher};
use crate::compile::index::CandidateIndex;
use crate::condition::{Condition, Detection, NewTerms};
use crate::record::streams::Categories;
use crate::record::{Record, SUMMARY};
use crate::rule::{CheckedRule, RuleInfo};
use crate::run::alert_limiter::AlertGate;
use crate::run::sequence::SequenceMatcher;
use crate::run::threshold::ThresholdCounter;
use crate::schema::{FieldId, fields};

/// All rules that an engine runs, with their conditions in one graph and an index of what each needs.
pub struct RuleSet {
    infos: Vec<Arc<RuleInfo>>,
    pub(crate) rules: Vec<CompiledRule>,
    /// The positions of the rules whose matches may become known only by a later event.
    pub(crate) waiting: Vec<usize>,
    pub(crate) graph: ConditionGraph,
    pub(crate) index: CandidateIndex,
    /// For each field of the schema, whether a verdict can depend on it.
    read_fields: Box<[bool]>,
    /// Whether some rule keeps summaries of events.
    keeps_summaries: bool,
}

pub(crate) struct CompiledRule {
    pub info: Arc<RuleInfo>,
    /// Whether the rule looks at an event, by its filters and exceptions.
    pub admits: Matcher,
    pub gate: AlertGate,
    pub detection: CompiledDetection,
}

pub(crate) enum CompiledDetection {
    Event(Matcher),
    NewTerms {
        matcher: Matcher,
        new_terms: NewTerms,
        /// Under which the history keeps the terms.
        history_key: String,
    },
    Sequence(SequenceMatcher),
    Threshold {
        matcher: Matcher,
        counter: ThresholdCounter,
    },
}

impl CompiledDetection {
    /// Why the event matched, one condition a line; of a sequence, why it is the last event.
    pub fn reason(&self, event: &Evaluation<'_>) -> Vec<String> {
        match self {
            CompiledDetection::Event(matcher)
            | CompiledDetection::NewTerms { matcher, .. }
            | CompiledDetection::Threshold { matcher, .. } => matcher.reason(event),

            CompiledDetection::Sequence(sequence) => sequence.reason(event),
        }
    }
}

impl CompiledRule {
    fn compile(rule: CheckedRule, graph: &mut GraphBuilder) -> CompiledRule {
        let detection = match rule.detection {
            Detection::Event(condition) => CompiledDetection::Event(graph.add_indexed(&condition)),
            Detection::NewTerms(condition, new_terms) => CompiledDetection::NewTerms {
                matcher: graph.add_indexed(&condition),
                history_key: new_terms.history_key(&rule.info.rule_id),
                new_terms,
            },
            Detection::Sequence(sequence) => CompiledDetection::Sequence(SequenceMatcher::compile(&sequence, graph)),
            Detection::Threshold(condition, threshold) => CompiledDetection::Threshold {
                matcher: graph.add_indexed(&condition),
                counter: ThresholdCounter::new(threshold),
            },
        };
        CompiledRule {
            info: Arc::new(rule.info),
            admits: graph.add(&rule.admits),
            gate: AlertGate::new(rule.limits),
            detection,
        }
    }
}

/// The conditions of which one has to hold for the rule to take an event in.
fn conditions(rule: &CheckedRule) -> Vec<&Condition> {
    match &rule.detection {
        Detection::Event(condition) | Detection::NewTerms(condition, _) | Detection::Threshold(condition, _) => {
            vec![condition]
        }
        Detection::Sequence(sequence) => {
            let terms = sequence.terms.iter().chain(&sequence.until);
            terms.map(|term| &term.condition).collect()
        }
    }
}

/// For each rule what an event needs for the rule to take it in.
fn needs(rules: &[CheckedRule]) -> Vec<(Categories, Necessary)> {
    let mut counts = PartCounts::default();
    rules
        .iter()
        .flat_map(conditions)
        .for_each(|condition| counts.add(condition));
    let need = |rule: &CheckedRule| {
        let taken_in = conditions(rule)
            .into_iter()
            .map(|condition| Necessary::of(condition, &counts));
        let both = [Necessary::of(&rule.admits, &counts), Necessary::any(taken_in)];
        (rule.categories, Necessary::all(both.into_iter()))
    };
    rules.iter().map(need).collect()
}

impl RuleSet {
    pub fn compile(rules: Vec<CheckedRule>) -> RuleSet {
        let mut read_fields = vec![false; FieldId::COUNT].into_boxed_slice();
        for rule in &rules {
            rule.visit_fields(&mut |field| read_fields[field.field.index()] = true);
            // How many alerts there may be is counted in the events' time.
            read_fields[fields::TIMESTAMP.index()] = true;
            // What is remembered is shared out among containers.
            read_fields[fields::CONTAINER_ID.index()] = true;
        }
        let keeps_summaries = rules
            .iter()
            .any(|rule| matches!(rule.detection, Detection::Sequence(_)));
        let needs = needs(&rules);
        let mut graph = GraphBuilder::default();
        let rules: Vec<CompiledRule> = rules
            .into_iter()
            .map(|rule| CompiledRule::compile(rule, &mut graph))
            .collect();
        let may_wait = |rule: &CompiledRule| match &rule.detection {
            CompiledDetection::Sequence(sequence) => sequence.may_wait(),
            _ => false,
        };
        let waiting = rules.iter().enumerate().filter(|(_, rule)| may_wait(rule));
        RuleSet {
            infos: rules.iter().map(|rule| Arc::clone(&rule.info)).collect(),
            waiting: waiting.map(|(position, _)| position).collect(),
            graph: graph.finish(),
            index: CandidateIndex::new(&needs),
            rules,
            read_fields,
            keeps_summaries,
        }
    }

    pub fn rules(&self) -> &[Arc<RuleInfo>] {
        &self.infos
    }

    /// How far back the new-terms rules look at most; zero if there is none.
    pub fn longest_window(&self) -> Duration {
        let window = |rule: &CompiledRule| match &rule.detection {
            CompiledDetection::NewTerms { new_terms, .. } => Some(new_terms.window_ms),
            _ => None,
        };
        let longest_ms = self.rules.iter().filter_map(window).max().unwrap_or(0);
        Duration::from_millis(longest_ms.try_into().unwrap_or(0))
    }

    /// Whether the verdict of some rule can depend on the field.
    pub fn reads(&self, field: FieldId) -> bool {
        self.read_fields[field.index()]
    }

    /// An empty record that takes only what an engine with these rules looks at: it gives the same matches as a whole
    /// one.
    pub fn narrow_record(&self) -> Record {
        Record::only(|field| {
            self.reads(field) || field == fields::EVENT_CATEGORY || (self.keeps_summaries && SUMMARY.contains(&field))
        })
    }
}
