//! What ways need of the fields that differ from event to event: looked up when the first way that is left asks for it.

use super::bits::Bits;
use super::field::FieldIndex;
use super::way::Way;
use crate::analysis::prerequisite::RequiredValues;
use crate::compile::graph::Evaluation;
use crate::schema::FieldId;

#[derive(Debug)]
pub(super) struct Others {
    fields: Box<[FieldIndex]>,
    /// For each way the fields that it needs a value of.
    needed: Box<[Box<[Needed]>]>,
}

#[derive(Debug)]
enum Needed {
    /// Any value.
    Present(FieldId),
    /// The index of this number.
    Found(usize),
}

/// What was looked up for the present event.
#[derive(Debug)]
pub(super) struct Asked {
    /// For each index the number of the event it was asked for last, and the ways that it found.
    found: Box<[(u64, Bits)]>,
    event: u64,
}

impl Asked {
    /// Forgets what was found for the event before.
    pub(super) fn begin(&mut self) {
        self.event += 1;
    }
}

impl Others {
    pub(super) fn new(ways: &[Way<'_>], fields: Vec<FieldIndex>) -> Others {
        let needed = |way: &Way<'_>| -> Box<[Needed]> {
            let is_presence = |index: &FieldIndex| way.needs.get(&index.need) == Some(&RequiredValues::Any);
            let presence = fields.iter().filter(|index| is_presence(index));
            let is_found =
                |(_, index): &(usize, &FieldIndex)| way.needs.contains_key(&index.need) && !is_presence(index);
            let found = fields.iter().enumerate().filter(is_found);
            let presence = presence.map(|index| Needed::Present(index.need.field));
            presence.chain(found.map(|(number, _)| Needed::Found(number))).collect()
        };
        Others {
            needed: ways.iter().map(needed).collect(),
            fields: fields.into(),
        }
    }

    pub(super) fn scratch(&self, none: &Bits) -> Asked {
        Asked {
            found: self.fields.iter().map(|_| (0, none.clone())).collect(),
            event: 0,
        }
    }

    /// Whether the event may have all that the way needs.
    pub(super) fn may_be_there(
        &self,
        way: usize,
        event: &Evaluation<'_>,
        asked: &mut Asked,
        is_scanned: &impl Fn(FieldId, usize) -> bool,
    ) -> bool {
        let record = event.record;
        self.needed[way].iter().all(|needed| match needed {
            Needed::Present(field) => record.tested_count(*field) > 0,
            Needed::Found(number) => {
                let (asked_for, found) = &mut asked.found[*number];
                if *asked_for != asked.event {
                    *asked_for = asked.event;
                    self.fields[*number].find(record, found, event.folded(), is_scanned);
                }
                found.contains(way as u32)
            }
        })
    }
}
