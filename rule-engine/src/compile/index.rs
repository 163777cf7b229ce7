//! Which rules an event may concern: an index of what each rule needs, built when rules are compiled.
//!
//! It is asked before any rule is evaluated and may name too many rules, never too few. A rule takes an event in in one
//! of several ways: by one term of a sequence, by one of several conditions. For each field the index has the ways that
//! need a key (a whole value, or a part of one), and an event may concern the rules of which a way has all that it needs.
//! First come the fields that say what kind of event it is, then those by which few events are told apart ([`key`]): what
//! they leave, and what of that can hold given what they say, is remembered ([`memory`]). The others are looked at only
//! for the ways that are left then, and searched for parts last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::record::Record;
use crate::record::streams::{Categories, IndexPatterns, OWN_STREAM};
use crate::schema::{FieldId, Schema, fields};
use crate::value::FoldBuffer;

mod bits;
mod field;
mod key;
mod memory;
mod needs;
mod others;
mod stream_readers;
mod way;

use super::graph::{ConditionGraph, Evaluation, NodeId};
use crate::analysis::prerequisite::Need;
use bits::Bits;
use field::FieldIndex;
use key::KeyField;
use memory::{FoundOfKind, Kinds, Memory};
use needs::NeedsOfField;
use others::{Asked, Others};
use stream_readers::StreamReaders;
pub(crate) use way::Way;

/// The kind of an event, besides its category: known before anything else.
pub(crate) const KIND: [FieldId; 2] = [fields::EVENT_TYPE, fields::EVENT_ACTION];

#[derive(Debug)]
pub(crate) struct CandidateIndex {
    /// For each category of events the ways of rules that read it.
    by_category: Box<[Bits]>,
    /// For each rule the streams that it reads.
    patterns: Box<[IndexPatterns]>,
    ways: Box<[CompiledWay]>,
    kind: Stage,
    programs: Stage,
    others: Others,
    /// By which events are told apart.
    key: Box<[KeyField]>,
    /// For each node of the graph whether it tests one of these fields, or one of the kind.
    is_told: Box<[bool]>,
    rules: usize,
}

#[derive(Debug)]
struct CompiledWay {
    rule: usize,
    conditions: [NodeId; 2],
    /// The numbers of those fields of the key that the conditions test.
    tested: Arc<[u32]>,
}

/// Fields that are looked at together, the most selective first.
#[derive(Debug)]
struct Stage {
    fields: Box<[FieldIndex]>,
}

/// Scratch space and result of a look-up.
#[derive(Debug)]
pub(crate) struct Candidates {
    /// The ways that are left.
    left: Bits,
    found: Bits,
    /// The rules.
    rules: Vec<usize>,
    streams: StreamReaders,
    kinds: Kinds,
    memory: Memory,
    key: Vec<u8>,
    asked: Asked,
}

/// Of each need the ways that have it.
type AllNeeds = BTreeMap<Need, NeedsOfField>;

impl CandidateIndex {
    /// For ways in the order of their rules, whose conditions are in the graph.
    pub(crate) fn new(
        ways: &[Way<'_>],
        patterns: Box<[IndexPatterns]>,
        graph: &ConditionGraph,
        schema: &Schema,
    ) -> CandidateIndex {
        let count = ways.len();
        let numbered = || ways.iter().zip(0_u32..);
        let by_category = (0..Categories::COUNT).map(|category| {
            let reads = numbered().filter(|(way, _)| way.categories.numbers().any(|number| number == category));
            Bits::of(reads.map(|(_, number)| number), count)
        });
        let mut needs = AllNeeds::new();
        for (way, number) in numbered() {
            for (need, values) in way.needs {
                let of_field = needs.entry(*need).or_default();
                of_field.needing.push(number);
                for key in values.keys() {
                    of_field.keys.entry(key.clone()).or_default().push(number);
                }
            }
        }
        let conditions = ways
            .iter()
            .flat_map(|way| way.conditions)
            .map(|(condition, _)| condition);
        let key = key::fields_of(conditions, schema)
            .into_iter()
            .filter(|key| !is_kind(key.field));
        let key: Box<[KeyField]> = key.collect();
        let position = |field: FieldId| key.binary_search_by_key(&field, |key| key.field).ok();
        let tested = |way: &Way<'_>| -> Arc<[u32]> {
            let mut tested = Vec::new();
            for (condition, _) in way.conditions {
                condition.visit_fields(&mut |field| tested.extend(position(field.field)));
            }
            tested.sort_unstable();
            tested.dedup();
            tested.into_iter().map(|number| number as u32).collect()
        };
        let is_of_programs = |field: FieldId| position(field).is_some();
        let is_told = |field: FieldId| is_kind(field) || is_of_programs(field);
        let stage = |belongs: &dyn Fn(FieldId) -> bool| Stage {
            fields: indices(&needs, belongs, count).into(),
        };
        let mut compiled: Vec<CompiledWay> = Vec::with_capacity(count);
        for way in ways {
            let conditions = way.conditions.map(|(_, node)| node);
            // Ways by the same conditions follow one another.
            let tested = match compiled.last() {
                Some(last) if last.conditions == conditions => Arc::clone(&last.tested),
                _ => tested(way),
            };
            compiled.push(CompiledWay {
                rule: way.rule,
                conditions,
                tested,
            });
        }
        CandidateIndex {
            by_category: by_category.collect(),
            patterns,
            kind: stage(&is_kind),
            programs: stage(&is_of_programs),
            others: Others::new(ways, indices(&needs, &|field| !is_told(field), count)),
            is_told: graph.tests_of(&is_told),
            rules: ways.last().map_or(0, |way| way.rule + 1),
            ways: compiled.into(),
            key,
        }
    }

    pub(crate) fn scratch(&self) -> Candidates {
        let none = Bits::of(std::iter::empty(), self.ways.len());
        Candidates {
            memory: Memory::new(&none),
            asked: self.others.scratch(&none),
            found: none.clone(),
            left: none,
            rules: Vec::with_capacity(self.rules),
            streams: StreamReaders::default(),
            kinds: Kinds::default(),
            key: Vec::new(),
        }
    }

    /// Leaves in `candidates` every rule that may match the event. Fields of which `is_scanned` says that the event has
    /// very many values are not looked at: the rules look at their values once for all.
    pub(crate) fn find(
        &self,
        event: &Evaluation<'_>,
        candidates: &mut Candidates,
        is_scanned: impl Fn(FieldId, usize) -> bool,
    ) {
        candidates.rules.clear();
        if !self.find_by_program(event, candidates, &is_scanned) {
            return;
        }
        let Candidates { left, rules, asked, .. } = candidates;
        event.folded().fold_all(event.record.all_text());
        asked.begin();
        for way in left.iter() {
            let rule = self.ways[way].rule;
            if rules.last() != Some(&rule) && self.others.may_be_there(way, event, asked, &is_scanned) {
                rules.push(rule);
            }
        }
    }

    /// The same by the event's kind and program alone, so by no other fields than [`CandidateIndex::program_fields`];
    /// returns whether there is such a rule.
    pub(crate) fn find_by_program(
        &self,
        event: &Evaluation<'_>,
        candidates: &mut Candidates,
        is_scanned: &impl Fn(FieldId, usize) -> bool,
    ) -> bool {
        let Candidates {
            left,
            found,
            streams,
            kinds,
            memory,
            key,
            ..
        } = candidates;
        let (record, folded) = (event.record, event.folded());
        // What is remembered is of events that name no stream, as all of one producer.
        let patterns = self.ways.iter().map(|way| &self.patterns[way.rule]);
        if streams.find(record, patterns, left) {
            return self.kind.narrow(record, left, found, folded, is_scanned)
                && self.narrow_by_program(event, left, found, is_scanned);
        }
        let Some(place) = kinds.place(record) else {
            return self.find_by_kind(record, left, found, folded, is_scanned)
                && self.narrow_by_program(event, left, found, is_scanned);
        };
        if kinds.recall(place).is_none() {
            let any = self.find_by_kind(record, left, found, folded, is_scanned);
            let of_kind = FoundOfKind {
                any,
                key: self.key_of(left),
                ways: left.clone(),
            };
            kinds.remember(place, of_kind);
        }
        let Some(of_kind) = kinds.recall(place).filter(|of_kind| of_kind.any) else {
            return false;
        };
        let key = key::of_event(record, place, &self.key, &of_kind.key, folded, key);
        if key.and_then(|key| memory.recall(key, left)).is_none() {
            left.copy_from(&of_kind.ways);
            self.narrow_by_program(event, left, found, is_scanned);
            if let Some(key) = key {
                memory.remember(key, left);
            }
        }
        !left.is_empty()
    }

    /// What [`CandidateIndex::find_by_program`] looks at.
    pub(crate) fn program_fields(&self) -> impl Iterator<Item = FieldId> {
        let always = [fields::EVENT_CATEGORY].into_iter().chain(KIND).chain(OWN_STREAM);
        always.chain(self.key.iter().map(|key| key.field))
    }

    /// The rules that may match an event of which only its kind is known.
    pub(crate) fn of_kind(&self, kind: &Record) -> Vec<usize> {
        let Candidates {
            mut left, mut found, ..
        } = self.scratch();
        self.find_by_kind(kind, &mut left, &mut found, &FoldBuffer::default(), &|_, _| false);
        let mut rules: Vec<usize> = left.iter().map(|way| self.ways[way].rule).collect();
        rules.dedup();
        rules
    }

    /// The numbers of those fields of the key that one of the ways tests.
    fn key_of(&self, left: &Bits) -> Box<[u32]> {
        let numbers: BTreeSet<u32> = left
            .iter()
            .flat_map(|way| self.ways[way].tested.iter().copied())
            .collect();
        numbers.into_iter().collect()
    }

    /// Leaves in `left` the ways that may concern an event of this kind; returns whether there are any.
    fn find_by_kind(
        &self,
        record: &Record,
        left: &mut Bits,
        found: &mut Bits,
        folded: &FoldBuffer,
        is_scanned: &impl Fn(FieldId, usize) -> bool,
    ) -> bool {
        left.clear();
        let categories = Categories::of(record).numbers();
        categories.for_each(|category| left.unite(&self.by_category[category]));
        self.kind.narrow(record, left, found, folded, is_scanned)
    }

    /// Removes the ways that the program does not have, and those that cannot hold whatever the other fields are.
    fn narrow_by_program(
        &self,
        event: &Evaluation<'_>,
        left: &mut Bits,
        found: &mut Bits,
        is_scanned: &impl Fn(FieldId, usize) -> bool,
    ) -> bool {
        if !self
            .programs
            .narrow(event.record, left, found, event.folded(), is_scanned)
        {
            return false;
        }
        found.copy_from(left);
        // Ways by the same conditions follow one another.
        let mut last = None;
        for (number, CompiledWay { conditions, .. }) in found.iter().map(|number| (number, &self.ways[number])) {
            let may_hold = |node: &NodeId| node.told_by(event, &self.is_told) != Some(false);
            let may_hold = match last {
                Some((same, may_hold)) if same == conditions => may_hold,
                _ => conditions.iter().all(may_hold),
            };
            last = Some((conditions, may_hold));
            if !may_hold {
                left.remove(number as u32);
            }
        }
        !left.is_empty()
    }
}

fn is_kind(field: FieldId) -> bool {
    KIND.contains(&field) || field == fields::EVENT_CATEGORY
}

/// Indices of those fields that belong, the most selective first, and parts last.
fn indices(needs: &AllNeeds, belongs: &dyn Fn(FieldId) -> bool, count: usize) -> Vec<FieldIndex> {
    let mut chosen: Vec<(&Need, &NeedsOfField)> = needs.iter().filter(|(need, _)| belongs(need.field)).collect();
    chosen.sort_by(|(one, of_one), (other, of_other)| {
        let worth = of_other.worth().total_cmp(&of_one.worth());
        one.search.cmp(&other.search).then(worth)
    });
    let index = |(need, of_field): (&Need, &NeedsOfField)| FieldIndex::new(*need, of_field, count);
    chosen.into_iter().map(index).collect()
}

impl Stage {
    /// Removes the ways that need what the fields do not have; returns whether any are left.
    fn narrow(
        &self,
        record: &Record,
        left: &mut Bits,
        found: &mut Bits,
        folded: &FoldBuffer,
        is_scanned: &impl Fn(FieldId, usize) -> bool,
    ) -> bool {
        let mut fields = self.fields.iter();
        let is_done =
            |index: &FieldIndex| index.concerns(left) && !index.narrow(record, left, found, folded, is_scanned);
        !fields.any(is_done) && !left.is_empty()
    }
}

impl Candidates {
    /// How many events were of streams that no rule reads, and the names of these.
    pub(crate) fn unread_streams(&self) -> (u64, Vec<String>) {
        self.streams.unread()
    }

    /// The rules, in their order.
    pub(crate) fn rules(&self) -> impl Iterator<Item = usize> + '_ {
        self.rules.iter().copied()
    }
}

#[cfg(test)]
mod tests;
