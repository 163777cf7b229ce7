//! What the rules need of one field.

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::found::Found;
use super::needs::{Keys, NeedsOfField};
use super::rule_bits::RuleBits;
use crate::analysis::prerequisite::RequiredKey;
use crate::record::{Record, Value};
use crate::schema::FieldId;
use crate::value::hash::{LookupMap, TextMap};
use crate::value::{Case, FoldBuffer};

/// Up to this many bytes of parts, the automaton is the faster kind, which takes about 256 bytes of memory for each.
const MAX_FAST_PART_BYTES: usize = 32 << 10;
/// Up to this length, the set of rules of a key is a list.
const MAX_LISTED_RULES: usize = 8;

/// Of the field's whole values.
#[derive(Debug)]
pub(super) struct FieldIndex {
    pub field: FieldId,
    /// The rules that need a value.
    needing: RuleBits,
    /// The rules that need nothing, or any value, or something that is not looked for here.
    if_present: RuleBits,
    /// The rules that ask for a value here or something elsewhere.
    asking: RuleBits,
    /// Of these, those for which any value will do.
    met_if_present: RuleBits,
    texts: TextMap<RulesOfKey>,
    numbers: LookupMap<i64, RulesOfKey>,
    booleans: [RulesOfKey; 2],
    has_keys: bool,
}

/// Of the parts of a field's texts.
#[derive(Debug)]
pub(super) struct PartIndex {
    pub field: FieldId,
    /// The rules that need one of their parts, or of their whole texts.
    needing: RuleBits,
    /// The rules that ask for one of these or something elsewhere.
    asking: RuleBits,
    texts: TextMap<RulesOfKey>,
    /// `None` only for more bytes than rules may have.
    parts: Option<AhoCorasick>,
    /// For each part.
    rules: Box<[RulesOfKey]>,
}

/// The rules that need a key, and those for which it is one of several ways.
#[derive(Debug)]
struct RulesOfKey {
    needing: RuleIds,
    asking: RuleIds,
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

impl RulesOfKey {
    fn new(needs: &NeedsOfField, key: &RequiredKey, count: usize) -> RulesOfKey {
        let of = |keys: &Keys| RuleIds::new(keys.get(key).map_or(&[], Vec::as_slice), count);
        RulesOfKey {
            needing: of(&needs.keys),
            asking: of(&needs.alternatives),
        }
    }

    fn note(&self, found: &mut Found) {
        self.needing.add_to(&mut found.allowed);
        self.asking.add_to(&mut found.met);
    }
}

impl NeedsOfField {
    fn all_keys(&self) -> impl Iterator<Item = &RequiredKey> {
        let others = self.alternatives.keys().filter(|key| !self.keys.contains_key(key));
        self.keys.keys().chain(others)
    }

    fn texts(&self, count: usize) -> TextMap<RulesOfKey> {
        let text = |key: &RequiredKey| match key {
            RequiredKey::Text(text) => Some((text.as_bytes().into(), RulesOfKey::new(self, key, count))),
            _ => None,
        };
        self.all_keys().filter_map(text).collect()
    }
}

impl FieldIndex {
    pub(super) fn new(field: FieldId, needs: &NeedsOfField, count: usize) -> FieldIndex {
        let mut if_present = RuleBits::of(0..count as u32, count);
        needs.keys.values().flatten().for_each(|rule| if_present.remove(*rule));
        let numbers = needs.all_keys().filter_map(|key| match key {
            RequiredKey::Number(number) => Some((*number, RulesOfKey::new(needs, key, count))),
            _ => None,
        });
        let bits = |rules: &[u32]| RuleBits::of(rules.iter().copied(), count);
        FieldIndex {
            field,
            needing: bits(&needs.needing),
            if_present,
            asking: bits(&needs.asking),
            met_if_present: bits(&needs.asking_presence),
            texts: needs.texts(count),
            numbers: numbers.collect(),
            booleans: [false, true].map(|truth| RulesOfKey::new(needs, &RequiredKey::Boolean(truth), count)),
            has_keys: needs.all_keys().next().is_some(),
        }
    }

    /// Whether one of the rules that are left depends on the field.
    pub(super) fn concerns(&self, found: &Found) -> bool {
        found.rules.overlap(&self.needing) || found.rules.overlap_but(&self.asking, &found.met)
    }

    /// Removes the rules that need a value the field does not have; returns whether any are left.
    pub(super) fn narrow(
        &self,
        record: &Record,
        found: &mut Found,
        folded: &FoldBuffer,
        is_scanned: &impl Fn(FieldId, usize) -> bool,
    ) -> bool {
        match record.tested_count(self.field) {
            0 => return found.rules.remove_all(&self.needing),
            count if is_scanned(self.field, count) => {
                found.met.unite(&self.asking);
                return true;
            }
            _ => {}
        }
        found.met.unite(&self.met_if_present);
        if !self.has_keys {
            return true;
        }
        found.allowed.copy_from(&self.if_present);
        for value in record.tested_values(self.field) {
            let rules = match value {
                Value::Text(text) if text.len() <= self.texts.longest() => {
                    folded.folded(text, Case::Insensitive, |text| self.texts.get(text))
                }
                Value::Long(number) => self.numbers.get(&number),
                Value::Boolean(truth) => Some(&self.booleans[usize::from(truth)]),
                _ => None,
            };
            if let Some(rules) = rules {
                rules.note(found);
            }
        }
        found.rules.intersect(&found.allowed)
    }
}

impl PartIndex {
    pub(super) fn new(field: FieldId, needs: &NeedsOfField, count: usize) -> PartIndex {
        let (mut parts, mut rules) = (Vec::new(), Vec::new());
        for key in needs.all_keys() {
            if let RequiredKey::Part(part) = key {
                parts.push(part.as_bytes());
                rules.push(RulesOfKey::new(needs, key, count));
            }
        }
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let kind = if bytes <= MAX_FAST_PART_BYTES {
            AhoCorasickKind::DFA
        } else {
            AhoCorasickKind::ContiguousNFA
        };
        PartIndex {
            field,
            needing: RuleBits::of(needs.keys.values().flatten().copied(), count),
            asking: RuleBits::of(needs.asking.iter().copied(), count),
            texts: needs.texts(count),
            parts: AhoCorasick::builder()
                .kind(Some(kind))
                .prefilter(false)
                .build(parts)
                .ok(),
            rules: rules.into(),
        }
    }

    /// Whether one of the rules that are left depends on the parts, and they can be looked for.
    pub(super) fn concerns(&self, found: &Found) -> bool {
        self.parts.is_some()
            && (found.rules.overlap(&self.needing) || found.rules.overlap_but(&self.asking, &found.met))
    }

    /// The parts are not looked for, so each may be there.
    pub(super) fn skip(&self, found: &mut Found) {
        found.met.unite(&self.asking);
    }

    /// Removes the rules that need a part that no value has.
    pub(super) fn narrow(&self, record: &Record, found: &mut Found, folded: &FoldBuffer) {
        let Some(parts) = &self.parts else { return };
        found.allowed.clear();
        for value in record.tested_values(self.field) {
            let Value::Text(text) = value else { continue };
            folded.folded(text, Case::Insensitive, |text| {
                if let Some(rules) = self.texts.get(text) {
                    rules.note(found);
                }
                for part in parts.find_overlapping_iter(text) {
                    #[cfg(test)]
                    crate::value::steps::add(1);
                    self.rules[part.pattern()].note(found);
                }
            });
        }
        found.rules.remove_unless(&self.needing, &found.allowed);
    }
}
