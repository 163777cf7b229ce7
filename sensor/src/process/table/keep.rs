//! What the table keeps, and how long.
//!
//! Live processes are kept, and the parents and leaders of live ones; of the others that ended, for each owner the last
//! [`ENDED_LIMIT`] and none longer than [`ENDED_AGE_NS`]. Above all stands the [budget](super::super::budget). Nothing
//! here looks through the table.

use super::super::budget::{OwnerId, Place, Stage};
use super::super::image::Kept;
use super::super::kept::KeptProcess;
use super::super::key::ProcessKey;
use super::super::model::Process;
use super::ProcessTable;
use crate::telemetry::counts::GivenUp;

/// How many ended processes of an owner are kept, for late events and chains of parents.
pub(super) const ENDED_LIMIT: usize = 4096;
/// How long they are kept, and how often, as events come in, older ones are removed.
pub(super) const ENDED_AGE_NS: u64 = 15 * 60 * 1_000_000_000;
pub(super) const AGE_CHECK_INTERVAL_NS: u64 = 1_000_000_000;
/// How many of an owner's are removed at one such time.
const AGED_AT_ONCE: usize = 64;

impl ProcessTable {
    /// Keeps a process in its state after an event; `known` is what was kept of it before. One that has ended stays
    /// ended, whatever an event says that comes late.
    pub(super) fn keep(&mut self, process: Process, known: Option<Box<KeptProcess>>) -> ProcessKey {
        let key = process.key;
        let (mut entry, kept_before) = match known {
            Some(mut known) => {
                let kept_before = known.keeps();
                known.process = process;
                (known, kept_before)
            }
            None => (Box::new(KeptProcess::new(process)), [None; 4]),
        };
        // One that began later with its pid shows that it has ended.
        let is_replaced = |live: &ProcessKey| live.start_ticks > key.start_ticks;
        entry.is_live &= entry.process.exit.is_none() && !self.live.get(&key.pid).is_some_and(is_replaced);
        let (is_live, keeps) = (entry.is_live, entry.keeps());
        let owner = self.budget.owner(entry.process.owner());
        entry.charge(&mut self.budget, owner);
        entry.settle(&mut self.budget, owner, self.now_ns);
        self.processes.insert(key, entry);
        self.count_kept(kept_before, keeps);
        if is_live {
            let previous = self.live.insert(key.pid, key).filter(|previous| *previous != key);
            if let Some(previous) = previous {
                self.end_missed(previous);
            }
        } else {
            self.forget_live(key);
            while let Some(place) = self.budget.ended_too_long(owner, ENDED_LIMIT, 0) {
                self.counts.forgotten += 1;
                self.forget(place.2);
            }
        }
        key
    }

    /// Ends a process whose exit was missed. Its exit can still come.
    pub(crate) fn end_missed(&mut self, key: ProcessKey) {
        let Some(entry) = self.processes.get_mut(&key).filter(|entry| entry.is_live) else {
            return;
        };
        let kept_before = entry.keeps();
        entry.is_live = false;
        if let Some((owner, _)) = entry.place {
            entry.settle(&mut self.budget, owner, self.now_ns);
        }
        self.counts.exits_missed += 1;
        self.count_kept(kept_before, [None; 4]);
        self.forget_live(key);
    }

    /// Gives up what is past the budget. Call it after an event was handled, which has everything at its time.
    pub(crate) fn give_up_surplus(&mut self) {
        while self.budget.is_exceeded()
            && let Some((owner, place)) = self.budget.next_to_give()
        {
            self.give_up(owner, place);
        }
    }

    /// Tells whose processes gave up what since the last time.
    pub(crate) fn tell_given_up(&mut self) {
        self.untold.tell();
    }

    fn give_up(&mut self, owner: OwnerId, place: Place) {
        let (stage, _, key) = place;
        let Some(entry) = self.processes.get_mut(&key) else {
            self.budget.remove(owner, &place);
            return;
        };
        // What it shares may have been given up for another one meanwhile.
        if entry.stage() == stage {
            let image = &entry.process.image;
            let counts = &mut self.counts;
            let (counter, what) = match stage {
                Stage::EndedTexts | Stage::NamedTexts => (&mut counts.ended_texts_given_up, GivenUp::EndedTexts),
                Stage::LiveMiddles => (&mut counts.arguments_cut, GivenUp::Middles),
                Stage::LiveTexts => (&mut counts.live_texts_given_up, GivenUp::LiveTexts),
                Stage::Ended | Stage::Named => (&mut counts.ended_given_up, GivenUp::Ended),
                Stage::Live => (&mut counts.live_given_up, GivenUp::Live),
            };
            *counter += 1;
            if let Some(name) = self.budget.name(owner) {
                self.untold.count(name, what);
            }
            match what {
                GivenUp::EndedTexts | GivenUp::LiveTexts => image.reduce(Kept::Bare),
                GivenUp::Middles => image.reduce(Kept::Ends),
                GivenUp::Ended | GivenUp::Live => return self.forget(key),
            }
        }
        entry.settle(&mut self.budget, owner, self.now_ns);
    }

    pub(super) fn pass_time(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        if self.now_ns < self.age_check_ns {
            return;
        }
        self.age_check_ns = self.now_ns + AGE_CHECK_INTERVAL_NS;
        let oldest_ns = self.now_ns.saturating_sub(ENDED_AGE_NS);
        for owner in self.budget.owners() {
            for _ in 0..AGED_AT_ONCE {
                let Some(place) = self.budget.ended_too_long(owner, usize::MAX, oldest_ns) else {
                    break;
                };
                self.counts.forgotten += 1;
                self.forget(place.2);
            }
        }
    }

    fn forget(&mut self, key: ProcessKey) {
        if let Some(entry) = self.processes.remove(&key) {
            self.count_kept(entry.keeps(), [None; 4]);
            self.forget_live(key);
            if let Some((owner, place)) = entry.place {
                self.budget.remove(owner, &place);
            }
        }
    }

    fn forget_live(&mut self, key: ProcessKey) {
        if self.live.get(&key.pid) == Some(&key) {
            self.live.remove(&key.pid);
        }
    }

    /// Notes that a live process names others than before.
    fn count_kept(&mut self, before: [Option<ProcessKey>; 4], after: [Option<ProcessKey>; 4]) {
        if before == after {
            return;
        }
        let more = after.into_iter().flatten().map(|key| (key, 1));
        let fewer = before.into_iter().flatten().map(|key| (key, -1));
        for (key, change) in more.chain(fewer) {
            if let Some(entry) = self.processes.get_mut(&key) {
                entry.named = entry.named.saturating_add_signed(change);
                if !entry.is_live
                    && let Some((owner, _)) = entry.place
                {
                    entry.settle(&mut self.budget, owner, self.now_ns);
                }
            }
        }
    }
}
