//! A process as the table keeps it: what it takes of the budget, and what it gives up next.

use super::budget::{Budget, Charge, OwnerId, Place, Stage, allocation};
use super::key::ProcessKey;
use super::model::Process;
use crate::identity::ContainerIdentity;

/// What a process takes beside its image and its container: itself, its slots in both maps, and its place.
const PROCESS_BYTES: usize = allocation(size_of::<KeptProcess>())
    + slot_bytes::<(ProcessKey, Box<KeptProcess>)>()
    + slot_bytes::<(u32, ProcessKey)>()
    + PLACE_BYTES;
/// In a B-tree whose nodes are half full.
const PLACE_BYTES: usize = 2 * size_of::<Place>() + 16;

/// In a hash map that has just grown, and is half as full as the 7/8 that it can be.
const fn slot_bytes<Slot>() -> usize {
    (size_of::<Slot>() + 1) * 2 * 8 / 7
}

/// A process that is kept.
pub(super) struct KeptProcess {
    pub(super) process: Process,
    pub(super) is_live: bool,
    /// How often live processes name it as their parent or a leader.
    pub(super) named: u32,
    pub(super) place: Option<(OwnerId, Place)>,
    /// What it takes, but for its image.
    charge: Option<Charge>,
}

impl KeptProcess {
    pub(super) fn new(process: Process) -> Self {
        KeptProcess {
            process,
            is_live: true,
            named: 0,
            place: None,
            charge: None,
        }
    }

    /// What it gives up next.
    pub(super) fn stage(&self) -> Stage {
        let image = &self.process.image;
        let is_named = self.named > 0;
        // What an ended process shares goes with the last that has it, or in its turn among the live.
        let has_texts = !image.is_bare() && (self.is_live || !image.is_shared());
        match (self.is_live, has_texts) {
            (true, true) if image.has_middles() => Stage::LiveMiddles,
            (true, true) => Stage::LiveTexts,
            (true, false) => Stage::Live,
            (false, true) if is_named => Stage::NamedTexts,
            (false, true) => Stage::EndedTexts,
            (false, false) if is_named => Stage::Named,
            (false, false) => Stage::Ended,
        }
    }

    /// The processes that are kept because it is live.
    pub(super) fn keeps(&self) -> [Option<ProcessKey>; 4] {
        match self.is_live {
            true => self.process.named(),
            false => [None; 4],
        }
    }

    /// Puts it where it belongs among the processes of its owner.
    pub(super) fn settle(&mut self, budget: &mut Budget, owner: OwnerId, now_ns: u64) {
        let stage = self.stage();
        let since_ns = match &self.place {
            Some((before, (same, ..))) if (*before, *same) == (owner, stage) => return,
            Some((_, (before, since_ns, _))) if before.is_of_ended() && stage.is_of_ended() => *since_ns,
            _ => now_ns,
        };
        let place = (stage, since_ns, self.process.key);
        budget.place(owner, place);
        if let Some((owner, before)) = self.place.replace((owner, place)) {
            budget.remove(owner, &before);
        }
    }

    /// Has it counted what it takes.
    pub(super) fn charge(&mut self, budget: &mut Budget, owner: OwnerId) {
        let container = self.process.container.as_deref();
        let membership = &self.process.membership;
        let texts = [&membership.conflict, &membership.came_into].into_iter().flatten();
        let bytes = PROCESS_BYTES
            + container.map_or(0, container_bytes)
            + texts
                .map(|text| allocation(2 * size_of::<usize>() + text.len()))
                .sum::<usize>();
        match &mut self.charge {
            Some(charge) if self.place.is_some_and(|(before, _)| before == owner) => charge.set(bytes),
            charge => *charge = budget.charge(owner, bytes),
        }
        self.process.image.charge(|bytes| budget.charge(owner, bytes));
    }
}

/// What an identity takes, as if each process had its own: those of one cgroup share it, but its processes may leave
/// one by one.
fn container_bytes(container: &ContainerIdentity) -> usize {
    let texts = [container.id.len(), container.pod_uid.as_ref().map_or(0, String::len)];
    let counts_of_arc = 2 * size_of::<usize>();
    allocation(size_of::<ContainerIdentity>() + counts_of_arc)
        + texts.into_iter().map(allocation).sum::<usize>()
        + container.nested_in.as_deref().map_or(0, container_bytes)
}
