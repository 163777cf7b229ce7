//! Compiled rules: immutable, shared among threads and engines.
//!
//! Nothing here remembers events. That is up to [`Engine`](crate::Engine)s, several of which may run on the same rules.

use std::sync::Arc;
use std::time::Duration;

use super::graph::{ConditionGraph, Evaluation, GraphBuilder, NodeId, Scratch};
use super::index::{CandidateIndex, Candidates, KIND, Way};
use super::sequence::CompiledSequence;
use crate::analysis::prerequisite::{KeyCounts, Prerequisite};
use crate::condition::{AlertLimits, Condition, Detection, Then};
use crate::record::streams::OWN_STREAM;
use crate::record::{OF_ALERT, Record, SUMMARY};
use crate::rule::{CheckedRule, RuleInfo};
use crate::schema::{FieldId, Schema, fields};

/// Limits on alerts count in the events' time.
const EVERY_RULE_READS: [FieldId; 1] = [fields::TIMESTAMP];

/// All rules that an engine runs, with their conditions in one graph and an index of what each needs.
#[derive(Debug)]
pub struct Rules {
    schema: Schema,
    infos: Vec<Arc<RuleInfo>>,
    pub(crate) rules: Vec<CompiledRule>,
    /// The positions of the rules whose matches may become certain only after their last event.
    pub(crate) deferred: Vec<usize>,
    pub(crate) graph: ConditionGraph,
    pub(crate) index: CandidateIndex,
    /// For each field of the schema, whether a verdict can depend on it.
    read_fields: Box<[bool]>,
}

#[derive(Debug)]
pub(crate) struct CompiledRule {
    pub info: Arc<RuleInfo>,
    /// Equal for rules that look for the same and have the same limits.
    pub meaning: u64,
    /// Whether the rule looks at an event, by its filters and exceptions.
    pub filter: NodeId,
    pub limits: AlertLimits,
    pub detection: CompiledDetection,
    /// The fields that its verdict can depend on.
    reads: Box<[FieldId]>,
}

#[derive(Debug)]
pub(crate) enum CompiledDetection {
    Single { condition: NodeId, then: Then },
    Sequence(Arc<CompiledSequence>),
}

impl CompiledDetection {
    fn compile(detection: &Detection, graph: &mut GraphBuilder) -> CompiledDetection {
        match detection {
            Detection::Single { condition, then } => CompiledDetection::Single {
                condition: graph.add_indexed(condition),
                then: then.clone(),
            },
            Detection::Sequence(sequence) => {
                CompiledDetection::Sequence(Arc::new(CompiledSequence::compile(sequence, graph)))
            }
        }
    }

    /// As [`Detection::conditions`].
    fn conditions(&self) -> Vec<NodeId> {
        match self {
            CompiledDetection::Single { condition, .. } => vec![*condition],
            CompiledDetection::Sequence(sequence) => sequence.conditions().collect(),
        }
    }

    /// Whether the rule takes the event in, unless its filters or exceptions keep it out.
    pub(crate) fn concerns(&self, event: &Evaluation<'_>) -> bool {
        match self {
            CompiledDetection::Single { condition, .. } => condition.matches(event),
            CompiledDetection::Sequence(sequence) => sequence.concerns(event),
        }
    }

    /// Why the event matched, one condition per line; for a sequence, why it is the last event.
    pub(crate) fn reason(&self, event: &Evaluation<'_>) -> Vec<String> {
        match self {
            CompiledDetection::Single { condition, .. } => condition.reason(event),
            CompiledDetection::Sequence(sequence) => sequence.reason(event),
        }
    }

    fn may_wait(&self) -> bool {
        match self {
            CompiledDetection::Single { .. } => false,
            CompiledDetection::Sequence(sequence) => sequence.may_wait(),
        }
    }

    /// How far back the rule looks into the history of terms.
    fn history_window_ms(&self) -> Option<i64> {
        match self {
            CompiledDetection::Single { then, .. } => match then {
                Then::NewTerms(new_terms) => Some(new_terms.window_ms),
                Then::Alert | Then::Threshold(_) => None,
            },
            CompiledDetection::Sequence(_) => None,
        }
    }
}

impl CompiledRule {
    /// Equal for the same rule compiled twice, even under another name or severity.
    pub(crate) fn identity(&self) -> (&str, u64) {
        (&self.info.rule_id, self.meaning)
    }

    /// Whether the rule takes the event in, as far as that is known without what it remembers.
    pub(crate) fn takes_in(&self, event: &Evaluation<'_>) -> bool {
        self.detection.concerns(event) && self.filter.matches(event)
    }

    /// Whether it keeps summaries of events.
    fn keeps_summaries(&self) -> bool {
        match self.detection {
            CompiledDetection::Single { .. } => self.limits.alerts_grow(),
            CompiledDetection::Sequence(_) => true,
        }
    }

    fn compile(rule: &CheckedRule, graph: &mut GraphBuilder) -> CompiledRule {
        let mut reads = Vec::new();
        rule.visit_fields(&mut |field| reads.push(field.field));
        reads.sort_unstable();
        reads.dedup();
        CompiledRule {
            reads: reads.into_boxed_slice(),
            meaning: rule.meaning_with_limits(),
            info: Arc::new(rule.info.clone()),
            filter: graph.add(&rule.filter),
            limits: rule.limits.clone(),
            detection: CompiledDetection::compile(&rule.detection, graph),
        }
    }
}

/// For each condition by which a rule takes events in what an event needs for that.
fn prerequisites(rules: &[CheckedRule]) -> Vec<Vec<Prerequisite>> {
    let mut counts = KeyCounts::default();
    rules
        .iter()
        .flat_map(|rule| rule.detection.conditions())
        .for_each(|condition| counts.add(condition));
    let of_rule = |rule: &CheckedRule| -> Vec<Prerequisite> {
        let of_filter = Prerequisite::of(&rule.filter, &counts);
        let of_condition = |condition: &Condition| {
            let both = [of_filter.clone(), Prerequisite::of(condition, &counts)];
            Prerequisite::all(both.into_iter(), &counts)
        };
        rule.detection.conditions().into_iter().map(of_condition).collect()
    };
    rules.iter().map(of_rule).collect()
}

/// An index of the rules, of which the compiled ones are in the graph.
fn index(rules: &[CheckedRule], compiled: &[CompiledRule], graph: &ConditionGraph, schema: &Schema) -> CandidateIndex {
    let prerequisites = prerequisites(rules);
    let mut ways = Vec::new();
    for (position, ((rule, compiled), prerequisites)) in rules.iter().zip(compiled).zip(&prerequisites).enumerate() {
        let conditions = rule
            .detection
            .conditions()
            .into_iter()
            .zip(compiled.detection.conditions());
        for (condition, prerequisite) in conditions.zip(prerequisites) {
            let way = |needs| Way {
                rule: position,
                needs,
                categories: rule.categories,
                conditions: [condition, (&rule.filter, compiled.filter)],
            };
            ways.extend(prerequisite.alternatives().iter().map(way));
        }
    }
    let patterns = rules.iter().map(|rule| rule.index.clone()).collect();
    CandidateIndex::new(&ways, patterns, graph, schema)
}

impl Rules {
    /// Compiles rules that were read with the schema, for records of the same schema.
    ///
    /// # Panics
    /// A rule was read with another schema.
    pub fn compile(schema: &Schema, rules: Vec<CheckedRule>) -> Arc<Rules> {
        assert!(
            rules.iter().all(|rule| rule.schema == *schema),
            "the rules are of another schema"
        );
        let mut graph = GraphBuilder::default();
        let compiled: Vec<CompiledRule> = rules
            .iter()
            .map(|rule| CompiledRule::compile(rule, &mut graph))
            .collect();
        let graph = graph.finish(schema);
        let index = index(&rules, &compiled, &graph, schema);
        let rules = compiled;
        let deferred = rules.iter().enumerate().filter(|(_, rule)| rule.detection.may_wait());
        let mut read_fields = vec![false; schema.field_count()].into_boxed_slice();
        let of_all = EVERY_RULE_READS
            .iter()
            .chain(schema.owner())
            .filter(|_| !rules.is_empty());
        for field in rules.iter().flat_map(|rule| &rule.reads).chain(of_all) {
            read_fields[field.index()] = true;
        }
        Arc::new(Rules {
            schema: schema.clone(),
            infos: rules.iter().map(|rule| Arc::clone(&rule.info)).collect(),
            deferred: deferred.map(|(position, _)| position).collect(),
            graph,
            index,
            rules,
            read_fields,
        })
    }

    /// The schema of the events that the rules are for.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What alerts and lists say about each rule, in the order of the rules.
    pub fn infos(&self) -> &[Arc<RuleInfo>] {
        &self.infos
    }

    /// How far back the new-terms rules look at most; zero if there is none.
    pub fn longest_window(&self) -> Duration {
        let windows = self.rules.iter().filter_map(|rule| rule.detection.history_window_ms());
        Duration::from_millis(windows.max().unwrap_or(0).try_into().unwrap_or(0))
    }

    /// Whether the verdict of some rule can depend on the field.
    pub fn reads(&self, field: FieldId) -> bool {
        self.read_fields[field.index()]
    }

    /// Finds the rules that may match the event, and begins its evaluation.
    pub(crate) fn begin<'a>(
        &'a self,
        record: &'a Record,
        candidates: &mut Candidates,
        scratch: &'a mut Scratch,
    ) -> Evaluation<'a> {
        let is_scanned = |field, values| self.graph.scans(field, values);
        let event = Evaluation::new(record, &self.graph, scratch);
        self.index.find(&event, candidates, is_scanned);
        event
    }

    /// Whether some rule may match an event of which the record has only what [`Rules::program_record`] takes.
    pub(crate) fn may_concern_program(
        &self,
        record: &Record,
        candidates: &mut Candidates,
        scratch: &mut Scratch,
    ) -> bool {
        let is_scanned = |field, values| self.graph.scans(field, values);
        let event = Evaluation::new(record, &self.graph, scratch);
        self.index.find_by_program(&event, candidates, &is_scanned)
    }

    /// An empty record that takes only what says which program ran, by which program, and the like: a few fields, by
    /// which most events can be told to concern no rule ([`Engine::may_take_in`](crate::Engine::may_take_in)).
    pub fn program_record(&self) -> Record {
        self.record_of(self.index.program_fields())
    }

    /// An empty record that takes only what an engine with these rules looks at: it gives the same matches as a whole
    /// one.
    pub fn narrow_record(&self) -> Record {
        self.record_for(0..self.rules.len())
    }

    /// The same for events of one kind alone, of which `kind` has `event.category`, `event.type` and `event.action`.
    pub fn narrow_record_of_kind(&self, kind: &Record) -> Record {
        self.record_for(self.index.of_kind(kind).into_iter())
    }

    /// An empty record for events that concern no other rules than these.
    fn record_for(&self, rules: impl Iterator<Item = usize>) -> Record {
        let mut wanted = vec![fields::EVENT_CATEGORY];
        wanted.extend(OWN_STREAM);
        // Which rules the event concerns is found by its kind, and memory is shared out among owners.
        let of_all = KIND.iter().chain(&EVERY_RULE_READS).chain(self.schema.owner());
        wanted.extend(of_all.filter(|field| self.reads(**field)));
        for rule in rules.map(|position| &self.rules[position]) {
            wanted.extend(&rule.reads);
            if rule.keeps_summaries() {
                wanted.extend(SUMMARY);
            }
            if rule.detection.may_wait() {
                wanted.extend(OF_ALERT);
                wanted.push(fields::PROCESS_ARGS);
            }
        }
        self.record_of(wanted)
    }

    /// An empty record that takes these fields only.
    fn record_of(&self, fields: impl IntoIterator<Item = FieldId>) -> Record {
        let mut wanted = vec![false; self.schema.field_count()];
        fields.into_iter().for_each(|field| wanted[field.index()] = true);
        Record::only(&self.schema, |field| wanted[field.index()])
    }
}
