//! What ways need of one field.

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::bits::Bits;
use super::needs::NeedsOfField;
use crate::analysis::prerequisite::{Need, RequiredKey};
use crate::record::{Record, Value};
use crate::schema::FieldId;
use crate::value::hash::{LookupMap, TextMap};
use crate::value::{Case, FoldBuffer};

/// Up to this many bytes of parts, the automaton is the faster kind, which takes about 256 bytes of memory for each.
const MAX_FAST_PART_BYTES: usize = 32 << 10;
/// Up to this length, the ways of a key are a list.
const MAX_LISTED: usize = 8;

/// The values of a field that ways need, each with the ways that it is enough for.
#[derive(Debug)]
pub(super) struct FieldIndex {
    pub need: Need,
    /// The ways that need a value.
    needing: Bits,
    /// Those for which any will do.
    if_present: Bits,
    texts: TextMap<Ways>,
    numbers: LookupMap<i64, Ways>,
    booleans: [Ways; 2],
    /// Of texts; `None` where no way needs a part, or for more bytes than rules may have.
    parts: Option<PartIndex>,
}

#[derive(Debug)]
struct PartIndex {
    automaton: AhoCorasick,
    /// For each part.
    ways: Box<[Ways]>,
}

#[derive(Debug)]
enum Ways {
    Few(Box<[u32]>),
    Many(Bits),
}

impl Ways {
    fn new(ways: &[u32], count: usize) -> Ways {
        if ways.len() <= MAX_LISTED {
            Ways::Few(ways.into())
        } else {
            Ways::Many(Bits::of(ways.iter().copied(), count))
        }
    }

    fn add_to(&self, bits: &mut Bits) {
        match self {
            Ways::Few(ways) => ways.iter().for_each(|way| bits.insert(*way)),
            Ways::Many(ways) => bits.unite(ways),
        }
    }
}

impl FieldIndex {
    pub(super) fn new(need: Need, needs: &NeedsOfField, count: usize) -> FieldIndex {
        let bits = |ways: &[u32]| Bits::of(ways.iter().copied(), count);
        let mut if_present = bits(&needs.needing);
        needs.keys.values().flatten().for_each(|way| if_present.remove(*way));
        let mut parts = Vec::new();
        let mut ways_of_parts = Vec::new();
        let (mut texts, mut numbers) = (Vec::new(), LookupMap::default());
        let mut booleans = [Ways::new(&[], count), Ways::new(&[], count)];
        for (key, ways) in &needs.keys {
            let ways = Ways::new(ways, count);
            match key {
                RequiredKey::Text(text) => texts.push((text.as_bytes().into(), ways)),
                RequiredKey::Part(part) => {
                    parts.push(part.as_bytes());
                    ways_of_parts.push(ways);
                }
                RequiredKey::Number(number) => {
                    numbers.insert(*number, ways);
                }
                RequiredKey::Boolean(truth) => booleans[usize::from(*truth)] = ways,
            }
        }
        let automaton = automaton(&parts);
        if automaton.is_none() {
            // Where parts cannot be searched for, each may be there.
            ways_of_parts.iter().for_each(|ways| ways.add_to(&mut if_present));
        }
        let parts = automaton.map(|automaton| PartIndex {
            automaton,
            ways: ways_of_parts.into(),
        });
        FieldIndex {
            need,
            needing: bits(&needs.needing),
            if_present,
            texts: texts.into_iter().collect(),
            numbers,
            booleans,
            parts,
        }
    }

    /// Whether one of the ways that are left needs a value.
    pub(super) fn concerns(&self, left: &Bits) -> bool {
        left.overlap(&self.needing)
    }

    /// Removes the ways that need a value the field does not have; returns whether any are left. `found` is scratch space.
    pub(super) fn narrow(
        &self,
        record: &Record,
        left: &mut Bits,
        found: &mut Bits,
        folded: &FoldBuffer,
        is_scanned: &impl Fn(FieldId, usize) -> bool,
    ) -> bool {
        self.find(record, found, folded, is_scanned);
        left.remove_unless(&self.needing, found)
    }

    /// Makes `found` those of the ways that need a value for which there is one.
    pub(super) fn find(
        &self,
        record: &Record,
        found: &mut Bits,
        folded: &FoldBuffer,
        is_scanned: &impl Fn(FieldId, usize) -> bool,
    ) {
        match record.tested_count(self.need.field) {
            0 => return found.clear(),
            // The values are not looked at, so each may be there.
            count if is_scanned(self.need.field, count) => return found.fill(),
            _ => found.copy_from(&self.if_present),
        }
        for value in record.tested_values(self.need.field) {
            match value {
                Value::Text(text) => self.find_text(text, found, folded),
                Value::Long(number) => {
                    if let Some(ways) = self.numbers.get(&number) {
                        ways.add_to(found);
                    }
                }
                Value::Boolean(truth) => self.booleans[usize::from(truth)].add_to(found),
                Value::Float(_) | Value::Date(_) | Value::Label { .. } => {}
            }
        }
    }

    fn find_text(&self, text: &str, found: &mut Bits, folded: &FoldBuffer) {
        if self.parts.is_none() && text.len() > self.texts.longest() {
            return;
        }
        folded.folded(text, Case::Insensitive, |text| {
            if let Some(ways) = self.texts.get(text) {
                ways.add_to(found);
            }
            let Some(parts) = &self.parts else { return };
            for part in parts.automaton.find_overlapping_iter(text) {
                #[cfg(test)]
                crate::value::steps::add(1);
                parts.ways[part.pattern()].add_to(found);
            }
        });
    }
}

/// What searches for all parts at once.
fn automaton(parts: &[&[u8]]) -> Option<AhoCorasick> {
    if parts.is_empty() {
        return None;
    }
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    let kind = if bytes <= MAX_FAST_PART_BYTES {
        AhoCorasickKind::DFA
    } else {
        AhoCorasickKind::ContiguousNFA
    };
    AhoCorasick::builder()
        .kind(Some(kind))
        .prefilter(false)
        .build(parts)
        .ok()
}
