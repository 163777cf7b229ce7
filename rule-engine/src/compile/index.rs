//! Which rules an event may concern: an index of what each rule needs, built when rules are compiled.
//!
//! It is asked before any rule is evaluated and may name too many rules, never too few. For each field it has the rules
//! that need a key (a whole value, or a part of one); an event may concern the rules found in all fields. The most
//! selective fields come first. Texts are searched for parts only while many rules are left that need one.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use crate::record::streams::{Categories, IndexPatterns};
use crate::record::{Record, Value};
use crate::schema::{FieldId, fields};
use crate::value::hash::LookupMap;
use crate::value::{Case, FoldBuffer};

mod rule_bits;
mod stream_readers;

use crate::analysis::prerequisite::{Prerequisite, RequiredKey};
use rule_bits::RuleBits;
use stream_readers::StreamReaders;

/// The kind of an event, besides its category: known before anything else.
const KIND: [FieldId; 2] = [fields::EVENT_TYPE, fields::EVENT_ACTION];
/// Evaluating this many rules is cheaper than searching a text for parts.
const FEW_RULES_WITH_PARTS: u32 = 3;
/// Up to this many bytes of parts, the automaton is the faster kind, which takes about 256 bytes of memory for each.
const MAX_FAST_PART_BYTES: usize = 32 << 10;
/// Up to this length, the set of rules of a key is a list.
const MAX_LISTED_RULES: usize = 8;

#[derive(Debug)]
pub(crate) struct CandidateIndex {
    /// For each category of events the rules that read it.
    by_category: Box<[RuleBits]>,
    /// For each rule the streams that it reads.
    patterns: Box<[IndexPatterns]>,
    /// The rules that can match at all.
    possible: RuleBits,
    /// The most selective come first.
    fields: Box<[FieldIndex]>,
    parts: Box<[PartIndex]>,
}

/// Scratch space and result of a look-up.
#[derive(Debug)]
pub(crate) struct Candidates {
    rules: RuleBits,
    allowed: RuleBits,
    folded: FoldBuffer,
    streams: StreamReaders,
}

/// What the rules need of a field's whole values.
#[derive(Debug)]
struct FieldIndex {
    field: FieldId,
    /// The rules that need a value.
    needing: RuleBits,
    /// The rules that need nothing, or any value, or something that is not looked for here.
    if_present: RuleBits,
    texts: LookupMap<Box<[u8]>, RuleIds>,
    longest_text: usize,
    numbers: LookupMap<i64, RuleIds>,
    booleans: [RuleIds; 2],
}

/// Which parts the rules need in a field's texts.
#[derive(Debug)]
struct PartIndex {
    field: FieldId,
    /// The rules that need one of their parts, or of their whole texts.
    needing: RuleBits,
    texts: LookupMap<Box<[u8]>, RuleIds>,
    parts: AhoCorasick,
    /// For each part.
    rules: Box<[RuleIds]>,
}

#[derive(Debug)]
enum RuleIds {
    Few(Box<[u32]>),
    Many(RuleBits),
}

impl RuleIds {
    fn new(rules: &[u32], count: usize) -> RuleIds {
        if rules.len() <= MAX_LISTED_RULES {
            RuleIds::Few(rules.into())
        } else {
            RuleIds::Many(RuleBits::of(rules.iter().copied(), count))
        }
    }

    fn add_to(&self, bits: &mut RuleBits) {
        match self {
            RuleIds::Few(rules) => rules.iter().for_each(|rule| bits.insert(*rule)),
            RuleIds::Many(rules) => bits.unite(rules),
        }
    }
}

/// For each key the rules that need it or an alternative to it.
type Needs = BTreeMap<FieldId, BTreeMap<RequiredKey, Vec<u32>>>;

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
        let (mut whole, mut with_parts) = (Needs::new(), Needs::new());
        let mut needing: BTreeMap<FieldId, Vec<u32>> = BTreeMap::new();
        for ((_, prerequisite), rule) in numbered() {
            let Prerequisite::Fields(needed) = prerequisite else {
                continue;
            };
            for (field, values) in needed {
                needing.entry(*field).or_default().push(rule);
                let needs = if values.have_parts() {
                    &mut with_parts
                } else {
                    &mut whole
                };
                for key in values.keys() {
                    let rules = needs.entry(*field).or_default().entry(key.clone()).or_default();
                    rules.push(rule);
                }
            }
        }
        let nothing = BTreeMap::new();
        let mut fields: Vec<(f64, FieldIndex)> = needing
            .iter()
            .map(|(field, needing)| {
                let keys = whole.get(field).unwrap_or(&nothing);
                (
                    worth(*field, needing, keys),
                    FieldIndex::new(*field, needing, keys, count),
                )
            })
            .collect();
        fields.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let mut parts: Vec<(f64, PartIndex)> = with_parts
            .iter()
            .filter_map(|(field, keys)| Some((worth(*field, &[], keys), PartIndex::new(*field, keys, count)?)))
            .collect();
        parts.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        CandidateIndex {
            by_category: by_category.collect(),
            patterns,
            possible: RuleBits::of(possible.map(|(_, rule)| rule), count),
            fields: fields.into_iter().map(|(_, index)| index).collect(),
            parts: parts.into_iter().map(|(_, index)| index).collect(),
        }
    }

    pub(crate) fn scratch(&self) -> Candidates {
        Candidates {
            rules: self.possible.clone(),
            allowed: self.possible.clone(),
            folded: FoldBuffer::default(),
            streams: StreamReaders::default(),
        }
    }

    /// Leaves in `candidates` every rule that may match the event. Fields of which `is_scanned` says that the event has
    /// very many values are not looked at: the rules look at their values once for all.
    pub(crate) fn find(
        &self,
        record: &Record,
        candidates: &mut Candidates,
        is_scanned: impl Fn(FieldId, usize) -> bool,
    ) {
        let Candidates {
            rules,
            allowed,
            folded,
            streams,
        } = candidates;
        if !streams.find(record, &self.patterns, rules) {
            self.read_by(Categories::of(record), rules);
        }
        if !rules.intersect(&self.possible) {
            return;
        }
        for field in &self.fields {
            if rules.overlap(&field.needing) && !field.narrow(record, rules, allowed, folded, &is_scanned) {
                return;
            }
        }
        for parts in &self.parts {
            if rules.count_common(&parts.needing) > FEW_RULES_WITH_PARTS
                && !is_scanned(parts.field, record.count(parts.field))
            {
                parts.narrow(record, rules, allowed, folded);
            }
        }
    }

    /// Whether some rule may match an event of which only its kind is known.
    pub(crate) fn any_of_kind(&self, kind: &Record) -> bool {
        let mut candidates = self.scratch();
        let Candidates {
            rules, allowed, folded, ..
        } = &mut candidates;
        self.read_by(Categories::of(kind), rules);
        let mut any = rules.intersect(&self.possible);
        for field in self.fields.iter().filter(|index| KIND.contains(&index.field)) {
            any = field.narrow(kind, rules, allowed, folded, &|_, _| false);
        }
        any
    }

    /// Puts the rules that read events of these categories into `rules`.
    fn read_by(&self, categories: Categories, rules: &mut RuleBits) {
        rules.clear();
        categories
            .numbers()
            .for_each(|category| rules.unite(&self.by_category[category]));
    }
}

impl Candidates {
    /// How many events were of streams that no rule reads, and the names of these.
    pub(crate) fn unread_streams(&self) -> (u64, Vec<String>) {
        self.streams.unread()
    }

    /// The rules, in their order.
    pub(crate) fn rules(&self) -> impl Iterator<Item = usize> + '_ {
        self.rules.iter()
    }
}

/// How many rules looking up the field is likely to rule out: those that need one of its values, less the share of all
/// needs that their keys make up, because a value that many rules need is likely to be common.
fn worth(field: FieldId, needing: &[u32], keys: &BTreeMap<RequiredKey, Vec<u32>>) -> f64 {
    // The kind of event rules out most rules or none, and costs least.
    if KIND.contains(&field) {
        return f64::INFINITY;
    }
    let needs: usize = keys.values().map(Vec::len).sum();
    let keyed: f64 = keys.values().map(|rules| (rules.len() * rules.len()) as f64).sum();
    let expected = if needs == 0 { 0.0 } else { keyed / needs as f64 };
    let mut rules: Vec<u32> = keys.values().flatten().copied().collect();
    rules.sort_unstable();
    rules.dedup();
    // A field that only has to be present is assumed to be present in half of all events.
    (rules.len() as f64 - expected).max(0.0) + needing.len().saturating_sub(rules.len()) as f64 / 2.0
}

impl FieldIndex {
    fn new(field: FieldId, needing: &[u32], keys: &BTreeMap<RequiredKey, Vec<u32>>, count: usize) -> FieldIndex {
        let mut if_present = RuleBits::of(0..count as u32, count);
        keys.values().flatten().for_each(|rule| if_present.remove(*rule));
        let set = |rules: &[u32]| RuleIds::new(rules, count);
        let boolean = |truth| set(keys.get(&RequiredKey::Boolean(truth)).map_or(&[], Vec::as_slice));
        let numbers = keys.iter().filter_map(|(key, rules)| match key {
            RequiredKey::Number(number) => Some((*number, set(rules))),
            _ => None,
        });
        let texts = texts(keys, count);
        FieldIndex {
            field,
            needing: RuleBits::of(needing.iter().copied(), count),
            if_present,
            longest_text: texts.keys().map(|text| text.len()).max().unwrap_or(0),
            texts,
            numbers: numbers.collect(),
            booleans: [boolean(false), boolean(true)],
        }
    }

    /// Removes the rules that need a value the field does not have; returns whether any are left.
    fn narrow(
        &self,
        record: &Record,
        rules: &mut RuleBits,
        allowed: &mut RuleBits,
        folded: &FoldBuffer,
        is_scanned: &impl Fn(FieldId, usize) -> bool,
    ) -> bool {
        match record.count(self.field) {
            0 => return rules.remove_all(&self.needing),
            count if is_scanned(self.field, count) => return true,
            _ => {}
        }
        if self.texts.is_empty() && self.numbers.is_empty() && self.booleans.iter().all(RuleIds::is_empty) {
            return rules.intersect(&self.if_present);
        }
        allowed.copy_from(&self.if_present);
        for value in record.values(self.field) {
            let needing = match value {
                Value::Text(text) if text.len() <= self.longest_text => {
                    folded.folded(text, Case::Insensitive, |text| self.texts.get(text))
                }
                Value::Long(number) => self.numbers.get(&number),
                Value::Boolean(truth) => Some(&self.booleans[usize::from(truth)]),
                _ => None,
            };
            if let Some(needing) = needing {
                needing.add_to(allowed);
            }
        }
        rules.intersect(allowed)
    }
}

impl PartIndex {
    fn new(field: FieldId, keys: &BTreeMap<RequiredKey, Vec<u32>>, count: usize) -> Option<PartIndex> {
        let (mut parts, mut rules) = (Vec::new(), Vec::new());
        for (key, needing) in keys {
            if let RequiredKey::Part(part) = key {
                parts.push(part.as_bytes());
                rules.push(RuleIds::new(needing, count));
            }
        }
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let kind = if bytes <= MAX_FAST_PART_BYTES {
            AhoCorasickKind::DFA
        } else {
            AhoCorasickKind::ContiguousNFA
        };
        Some(PartIndex {
            field,
            needing: RuleBits::of(keys.values().flatten().copied(), count),
            texts: texts(keys, count),
            parts: AhoCorasick::builder()
                .kind(Some(kind))
                .prefilter(false)
                .build(parts)
                .ok()?,
            rules: rules.into(),
        })
    }

    /// Removes the rules that need a part that no value has.
    fn narrow(&self, record: &Record, rules: &mut RuleBits, allowed: &mut RuleBits, folded: &FoldBuffer) {
        allowed.clear();
        for value in record.values(self.field) {
            let Value::Text(text) = value else { continue };
            folded.folded(text, Case::Insensitive, |text| {
                if let Some(needing) = self.texts.get(text) {
                    needing.add_to(allowed);
                }
                for found in self.parts.find_overlapping_iter(text) {
                    #[cfg(test)]
                    crate::value::steps::add(1);
                    self.rules[found.pattern()].add_to(allowed);
                }
            });
        }
        rules.remove_unless(&self.needing, allowed);
    }
}

impl RuleIds {
    fn is_empty(&self) -> bool {
        matches!(self, RuleIds::Few(rules) if rules.is_empty())
    }
}

fn texts(keys: &BTreeMap<RequiredKey, Vec<u32>>, count: usize) -> LookupMap<Box<[u8]>, RuleIds> {
    let text = |(key, rules): (&RequiredKey, &Vec<u32>)| match key {
        RequiredKey::Text(text) => Some((text.as_bytes().into(), RuleIds::new(rules, count))),
        _ => None,
    };
    keys.iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests;
