//! Which rules an event may concern: an index of what each rule needs, built when rules are compiled.
//!
//! It is asked before any rule is evaluated and may name too many rules, never too few. For each field it has the rules
//! that need a key (a whole value, or a part of one); an event may concern the rules found in all fields. A rule that
//! needs a key of one of several fields is noted as met by whichever is found. First come the fields that say what kind
//! of event it is, then those that the same program has each time it runs, and what they leave is remembered
//! ([`memory`]); then the others, the most selective ones first. Texts are searched for parts only while rules are left
//! that need one.

use std::collections::BTreeMap;

use crate::record::Record;
use crate::record::streams::{Categories, IndexPatterns, OWN_STREAM};
use crate::schema::{FieldId, fields};
use crate::value::FoldBuffer;

mod field;
mod found;
mod memory;
mod needs;
mod rule_bits;
mod stream_readers;

use crate::analysis::prerequisite::{Fields, Needs, Prerequisite, RequiredKey, RequiredValues};
use field::{FieldIndex, PartIndex};
use found::Found;
use memory::{Kinds, Memory, Remembered};
use needs::NeedsOfField;
use rule_bits::RuleBits;
use stream_readers::StreamReaders;

/// The kind of an event, besides its category: known before anything else.
pub(crate) const KIND: [FieldId; 2] = [fields::EVENT_TYPE, fields::EVENT_ACTION];
/// What a program has each time it is run by the same program. A field that is true or false, or of which only the
/// presence matters, has few values too.
const OF_PROGRAMS: [FieldId; 12] = [
    fields::HOST_OS_TYPE,
    fields::PROCESS_NAME,
    fields::PROCESS_EXECUTABLE,
    fields::PROCESS_PARENT_NAME,
    fields::PROCESS_PARENT_EXECUTABLE,
    fields::PROCESS_GROUP_LEADER_NAME,
    fields::PROCESS_GROUP_LEADER_EXECUTABLE,
    fields::PROCESS_SESSION_LEADER_NAME,
    fields::PROCESS_SESSION_LEADER_EXECUTABLE,
    fields::PROCESS_ENTRY_LEADER_NAME,
    fields::PROCESS_ENTRY_LEADER_EXECUTABLE,
    fields::USER_ID,
];

#[derive(Debug)]
pub(crate) struct CandidateIndex {
    /// For each category of events the rules that read it.
    by_category: Box<[RuleBits]>,
    /// For each rule the streams that it reads.
    patterns: Box<[IndexPatterns]>,
    /// The rules that can match at all.
    possible: RuleBits,
    /// The rules that need a key of one of several fields.
    with_alternatives: RuleBits,
    /// Of these, those all of whose fields are of the kind or of programs.
    decided_by_program: RuleBits,
    kind: Stage,
    programs: Stage,
    /// What of the program is remembered.
    remembered: Box<[Remembered]>,
    others: Stage,
}

/// Fields that are looked at together, the most selective first.
#[derive(Debug)]
struct Stage {
    fields: Box<[FieldIndex]>,
    parts: Box<[PartIndex]>,
    /// The rules for which one of them matters.
    concerned: RuleBits,
}

/// Scratch space and result of a look-up.
#[derive(Debug)]
pub(crate) struct Candidates {
    found: Found,
    streams: StreamReaders,
    kinds: Kinds,
    memory: Memory,
}

impl CandidateIndex {
    /// For rules in their order, with the categories of events that each reads and what it needs.
    pub(crate) fn new(rules: &[(Categories, Prerequisite)], patterns: Box<[IndexPatterns]>) -> CandidateIndex {
        let count = rules.len();
        let numbered = || rules.iter().zip(0_u32..);
        let by_category = (0..Categories::COUNT).map(|category| {
            let reads = numbered().filter(|((read, _), _)| read.numbers().any(|number| number == category));
            RuleBits::of(reads.map(|(_, rule)| rule), count)
        });
        let possible = numbered().filter(|((_, prerequisite), _)| *prerequisite != Prerequisite::Impossible);
        let needs = || {
            numbered().filter_map(|((_, prerequisite), rule)| match prerequisite {
                Prerequisite::Impossible => None,
                Prerequisite::Needs(needs) => Some((needs, rule)),
            })
        };
        // Whole values and parts are looked for apart.
        let mut whole: BTreeMap<FieldId, NeedsOfField> = BTreeMap::new();
        let mut with_parts: BTreeMap<FieldId, NeedsOfField> = BTreeMap::new();
        for (Needs { each, any }, rule) in needs() {
            for (field, values) in each {
                // Whatever it needs, it needs a value.
                whole.entry(*field).or_default().needing.push(rule);
                let place = if values.have_parts() {
                    &mut with_parts
                } else {
                    &mut whole
                };
                needs::add_keys(&mut place.entry(*field).or_default().keys, values, rule);
            }
            for (field, values) in any {
                let place = if values.have_parts() {
                    &mut with_parts
                } else {
                    &mut whole
                };
                let of_field = place.entry(*field).or_default();
                of_field.asking.push(rule);
                needs::add_keys(&mut of_field.alternatives, values, rule);
                if *values == RequiredValues::Any {
                    of_field.asking_presence.push(rule);
                }
            }
        }
        let is_presence_only = |field: &FieldId| {
            let needs = whole.get(field);
            needs.is_some_and(|needs| needs.keys.is_empty() && needs.alternatives.is_empty())
                && !with_parts.contains_key(field)
        };
        let is_truth = |field: &FieldId| {
            let keys = whole
                .get(field)
                .into_iter()
                .flat_map(|needs| needs.keys.keys().chain(needs.alternatives.keys()));
            !with_parts.contains_key(field)
                && keys.clone().count() > 0
                && keys.clone().all(|key| matches!(key, RequiredKey::Boolean(_)))
        };
        let mut all: Vec<FieldId> = whole.keys().chain(with_parts.keys()).copied().collect();
        all.sort_unstable();
        all.dedup();
        let is_kind = |field: &FieldId| KIND.contains(field);
        let is_of_programs = |field: &FieldId| {
            !is_kind(field) && (OF_PROGRAMS.contains(field) || is_presence_only(field) || is_truth(field))
        };
        let remembered = all
            .iter()
            .filter(|field| is_of_programs(field))
            .map(|field| Remembered {
                field: *field,
                only_presence: is_presence_only(field),
            });
        let stage = |belongs: &dyn Fn(&FieldId) -> bool| Stage::new(&whole, &with_parts, belongs, count);
        let is_early = |any: &Fields| any.keys().all(|field| is_kind(field) || is_of_programs(field));
        let with_alternatives = needs().filter(|(needs, _)| !needs.any.is_empty());
        let early = with_alternatives.clone().filter(|(needs, _)| is_early(&needs.any));
        CandidateIndex {
            by_category: by_category.collect(),
            patterns,
            possible: RuleBits::of(possible.map(|(_, rule)| rule), count),
            decided_by_program: RuleBits::of(early.map(|(_, rule)| rule), count),
            with_alternatives: RuleBits::of(with_alternatives.map(|(_, rule)| rule), count),
            kind: stage(&is_kind),
            programs: stage(&is_of_programs),
            others: stage(&|field| !is_kind(field) && !is_of_programs(field)),
            remembered: remembered.collect(),
        }
    }

    pub(crate) fn scratch(&self) -> Candidates {
        Candidates {
            found: Found {
                rules: self.possible.clone(),
                met: self.possible.clone(),
                allowed: self.possible.clone(),
            },
            streams: StreamReaders::default(),
            kinds: Kinds::default(),
            memory: Memory::new(&self.possible),
        }
    }

    /// Leaves in `candidates` every rule that may match the event. Fields of which `is_scanned` says that the event has
    /// very many values are not looked at: the rules look at their values once for all.
    pub(crate) fn find(
        &self,
        record: &Record,
        candidates: &mut Candidates,
        folded: &FoldBuffer,
        is_scanned: impl Fn(FieldId, usize) -> bool,
    ) {
        if !self.find_by_program(record, candidates, folded, &is_scanned) {
            return;
        }
        let found = &mut candidates.found;
        folded.fold_all(record.all_text());
        self.others.narrow(record, found, folded, &is_scanned);
        found.rules.remove_unless(&self.with_alternatives, &found.met);
    }

    /// The same by the event's kind and program alone, so by no other fields than [`CandidateIndex::program_fields`];
    /// returns whether there is such a rule.
    pub(crate) fn find_by_program(
        &self,
        record: &Record,
        candidates: &mut Candidates,
        folded: &FoldBuffer,
        is_scanned: &impl Fn(FieldId, usize) -> bool,
    ) -> bool {
        let Candidates {
            found,
            streams,
            kinds,
            memory,
        } = candidates;
        // What is remembered is of events that name no stream, as all of one producer.
        let names_stream = streams.find(record, &self.patterns, &mut found.rules);
        let kind = if names_stream { None } else { kinds.place(record) };
        if kind.and_then(|kind| kinds.recall(kind, found)).is_none() {
            if !names_stream {
                self.read_by(Categories::of(record), &mut found.rules);
            }
            self.narrow_by_kind(record, found, folded, is_scanned);
            if let Some(kind) = kind {
                kinds.remember(kind, found);
            }
        }
        if !found.rules.overlap(&self.possible) {
            return false;
        }
        if found.rules.overlap(&self.programs.concerned) {
            let key = kind.and_then(|kind| memory::key(record, kind, &self.remembered));
            if key.and_then(|key| memory.recall(key, found)).is_none() {
                self.narrow_by_program(record, found, folded, is_scanned);
                if let Some(key) = key {
                    memory.remember(key, found);
                }
            }
        }
        found.rules.overlap(&self.possible)
    }

    /// What [`CandidateIndex::find_by_program`] looks at.
    pub(crate) fn program_fields(&self) -> impl Iterator<Item = FieldId> {
        let of_stage = |stage: &Stage| {
            let whole = stage.fields.iter().map(|index| index.field);
            whole
                .chain(stage.parts.iter().map(|index| index.field))
                .collect::<Vec<_>>()
        };
        let always = [fields::EVENT_CATEGORY].into_iter().chain(KIND).chain(OWN_STREAM);
        always.chain(of_stage(&self.kind)).chain(of_stage(&self.programs))
    }

    /// The rules that may match an event of which only its kind is known.
    pub(crate) fn of_kind(&self, kind: &Record) -> Vec<usize> {
        let mut found = self.scratch().found;
        self.read_by(Categories::of(kind), &mut found.rules);
        self.narrow_by_kind(kind, &mut found, &FoldBuffer::default(), &|_, _| false);
        found.rules.iter().collect()
    }

    /// Puts the rules that read events of these categories into `rules`.
    fn read_by(&self, categories: Categories, rules: &mut RuleBits) {
        rules.clear();
        categories
            .numbers()
            .for_each(|category| rules.unite(&self.by_category[category]));
    }

    /// Leaves of the rules that read the event those that may concern one of its kind.
    fn narrow_by_kind(
        &self,
        record: &Record,
        found: &mut Found,
        folded: &FoldBuffer,
        is_scanned: &impl Fn(FieldId, usize) -> bool,
    ) {
        found.met.clear();
        if found.rules.intersect(&self.possible) {
            self.kind.narrow(record, found, folded, is_scanned);
        }
    }

    fn narrow_by_program(
        &self,
        record: &Record,
        found: &mut Found,
        folded: &FoldBuffer,
        is_scanned: &impl Fn(FieldId, usize) -> bool,
    ) {
        self.programs.narrow(record, found, folded, is_scanned);
        found.rules.remove_unless(&self.decided_by_program, &found.met);
    }
}

impl Stage {
    fn new(
        whole: &BTreeMap<FieldId, NeedsOfField>,
        with_parts: &BTreeMap<FieldId, NeedsOfField>,
        belongs: &dyn Fn(&FieldId) -> bool,
        count: usize,
    ) -> Stage {
        let mut concerned = RuleBits::of(std::iter::empty(), count);
        let mut of_stage = |all: &BTreeMap<FieldId, NeedsOfField>| {
            let mut chosen: Vec<FieldId> = all.keys().filter(|field| belongs(field)).copied().collect();
            let worth = |field: &FieldId| all.get(field).map_or(0.0, NeedsOfField::worth);
            chosen.sort_by(|one, other| worth(other).total_cmp(&worth(one)));
            let needs = chosen.iter().filter_map(|field| all.get(field));
            let rules = needs.flat_map(|needs| needs.rules());
            rules.for_each(|rule| concerned.insert(rule));
            chosen
        };
        let (fields, parts) = (of_stage(whole), of_stage(with_parts));
        let fields = fields
            .into_iter()
            .filter_map(|field| Some(FieldIndex::new(field, whole.get(&field)?, count)));
        let parts = parts
            .into_iter()
            .filter_map(|field| Some(PartIndex::new(field, with_parts.get(&field)?, count)));
        Stage {
            fields: fields.collect(),
            parts: parts.collect(),
            concerned,
        }
    }

    /// Removes the rules that need what the fields do not have.
    fn narrow(
        &self,
        record: &Record,
        found: &mut Found,
        folded: &FoldBuffer,
        is_scanned: &impl Fn(FieldId, usize) -> bool,
    ) {
        for field in &self.fields {
            if field.concerns(found) && !field.narrow(record, found, folded, is_scanned) {
                return;
            }
        }
        for parts in &self.parts {
            if !parts.concerns(found) || is_scanned(parts.field, record.tested_count(parts.field)) {
                parts.skip(found);
            } else {
                parts.narrow(record, found, folded);
            }
        }
    }
}

impl Candidates {
    /// How many events were of streams that no rule reads, and the names of these.
    pub(crate) fn unread_streams(&self) -> (u64, Vec<String>) {
        self.streams.unread()
    }

    /// The rules, in their order.
    pub(crate) fn rules(&self) -> impl Iterator<Item = usize> + '_ {
        self.found.rules.iter()
    }
}

#[cfg(test)]
mod tests;
