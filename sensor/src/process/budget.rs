//! How many bytes are kept of processes, whose they are, and what is given up first when there are too many.
//!
//! Every byte is charged as it is allocated, to the owner of the process: the outermost container, or the host. Past
//! the budget the owner with the most gives something up, in the order of [`Stage`], and the oldest first. Finding it
//! takes logarithmic time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ahash::RandomState;

use super::key::ProcessKey;

/// How exactly owners are ordered by their bytes: a finer order would have to be mended at every event.
const RANK_BYTES: usize = 4096;

/// What a process gives up next, in the order in which an owner gives things up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// An ended process has arguments, environment and paths.
    EndedTexts,
    /// The same of one that a live process still names as its parent or a leader.
    NamedTexts,
    /// A live process has long ones, of which the ends can stay.
    LiveMiddles,
    /// An ended process is still known.
    Ended,
    /// A live process has arguments, environment and paths.
    LiveTexts,
    /// An ended process is known that a live one names.
    Named,
    /// A live process is known.
    Live,
}

/// Where a process stands among those of its owner: by what it gives up next, and since when.
pub(super) type Place = (Stage, u64, ProcessKey);

/// An owner of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct OwnerId(u32);

/// Bytes that are taken from the budget until this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    bytes: usize,
    account: Arc<Account>,
}

#[derive(Debug)]
struct Account {
    bytes: AtomicUsize,
    total: Arc<AtomicUsize>,
}

struct Owner {
    name: Arc<str>,
    account: Arc<Account>,
    /// In [`RANK_BYTES`], as `Budget::ranks` has it; at least what it was when that was last looked at.
    rank: usize,
    places: BTreeSet<Place>,
    /// How many of the places are of ended processes that no live one names.
    ended: usize,
    _own: Charge,
}

pub(super) struct Budget {
    limit: usize,
    total: Arc<AtomicUsize>,
    owners: HashMap<OwnerId, Owner, RandomState>,
    by_name: HashMap<Arc<str>, OwnerId, RandomState>,
    ranks: BTreeSet<(usize, OwnerId)>,
    next: u32,
}

/// Bytes that the C library takes for an allocation of so many.
pub(super) const fn allocation(bytes: usize) -> usize {
    const HEADER: usize = 8;
    const SMALLEST: usize = 32;
    match (bytes, (bytes + HEADER).next_multiple_of(16)) {
        (0, _) => 0,
        (_, chunk) if chunk < SMALLEST => SMALLEST,
        (_, chunk) => chunk,
    }
}

/// What an owner takes, its name and its slots in the maps included.
const OWNER_BYTES: usize = 512;

impl Stage {
    /// Whether it is of a process that has ended.
    pub(super) fn is_of_ended(self) -> bool {
        self.may_age() || matches!(self, Stage::NamedTexts | Stage::Named)
    }

    /// Whether it is of one that has ended and that no live one names.
    fn may_age(self) -> bool {
        matches!(self, Stage::EndedTexts | Stage::Ended)
    }
}

impl Budget {
    pub(super) fn new(limit: usize) -> Self {
        Budget {
            limit,
            total: Arc::default(),
            owners: HashMap::default(),
            by_name: HashMap::default(),
            ranks: BTreeSet::new(),
            next: 0,
        }
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.bytes() > self.limit
    }

    /// Bytes that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// The owner of this name, which is kept as long as it has processes.
    pub(super) fn owner(&mut self, name: &str) -> OwnerId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let id = OwnerId(self.next);
        self.next = self.next.wrapping_add(1);
        let account = Arc::new(Account {
            bytes: AtomicUsize::new(0),
            total: Arc::clone(&self.total),
        });
        let name: Arc<str> = name.into();
        self.by_name.insert(Arc::clone(&name), id);
        let owner = Owner {
            name,
            _own: Charge::new(&account, OWNER_BYTES),
            account,
            rank: 0,
            places: BTreeSet::new(),
            ended: 0,
        };
        self.ranks.insert((owner.rank, id));
        self.owners.insert(id, owner);
        id
    }

    /// The owner's name.
    pub(super) fn name(&self, id: OwnerId) -> Option<&Arc<str>> {
        self.owners.get(&id).map(|owner| &owner.name)
    }

    /// Takes bytes for an owner.
    pub(super) fn charge(&mut self, id: OwnerId, bytes: usize) -> Option<Charge> {
        let owner = self.owners.get_mut(&id)?;
        let charge = Charge::new(&owner.account, bytes);
        let rank = owner.account.rank();
        if rank > owner.rank {
            rerank(&mut self.ranks, id, owner, rank);
        }
        Some(charge)
    }

    pub(super) fn place(&mut self, id: OwnerId, place: Place) {
        if let Some(owner) = self.owners.get_mut(&id)
            && owner.places.insert(place)
        {
            owner.ended += usize::from(place.0.may_age());
        }
    }

    /// Takes a process from its place; an owner without any is forgotten.
    pub(super) fn remove(&mut self, id: OwnerId, place: &Place) {
        if let Some(owner) = self.owners.get_mut(&id)
            && owner.places.remove(place)
        {
            owner.ended -= usize::from(place.0.may_age());
            if owner.places.is_empty() {
                self.ranks.remove(&(owner.rank, id));
                self.by_name.remove(&owner.name);
                self.owners.remove(&id);
            }
        }
    }

    /// Who gives something up next: of the owner with the most.
    pub(super) fn next_to_give(&mut self) -> Option<(OwnerId, Place)> {
        loop {
            let (rank, id) = *self.ranks.last()?;
            let owner = self.owners.get_mut(&id)?;
            let actual = owner.account.rank();
            if actual >= rank {
                return owner.places.first().map(|place| (id, *place));
            }
            rerank(&mut self.ranks, id, owner, actual);
        }
    }

    /// The ended process of the owner that no live one names and that ended first, if there are more than so many, or if
    /// it ended before this time.
    pub(super) fn ended_too_long(&self, id: OwnerId, at_most: usize, before_ns: u64) -> Option<Place> {
        let owner = self.owners.get(&id)?;
        if owner.ended <= at_most && before_ns == 0 {
            return None;
        }
        let first_of = |stage| {
            let first = owner.places.range((stage, 0, ProcessKey::FIRST)..).next();
            first.filter(|place| place.0 == stage).copied()
        };
        let oldest = [first_of(Stage::EndedTexts), first_of(Stage::Ended)];
        let oldest = oldest.into_iter().flatten().min_by_key(|place| place.1)?;
        (owner.ended > at_most || oldest.1 < before_ns).then_some(oldest)
    }

    pub(super) fn owners(&self) -> Vec<OwnerId> {
        self.owners.keys().copied().collect()
    }
}

fn rerank(ranks: &mut BTreeSet<(usize, OwnerId)>, id: OwnerId, owner: &mut Owner, rank: usize) {
    ranks.remove(&(owner.rank, id));
    ranks.insert((rank, id));
    owner.rank = rank;
}

impl Account {
    fn rank(&self) -> usize {
        self.bytes.load(Ordering::Relaxed) / RANK_BYTES
    }
}

impl Charge {
    fn new(account: &Arc<Account>, bytes: usize) -> Self {
        let mut charge = Charge {
            bytes: 0,
            account: Arc::clone(account),
        };
        charge.set(bytes);
        charge
    }

    /// Takes so many bytes instead. An owner whose bytes grow by this only is ranked at its next charge.
    pub(super) fn set(&mut self, bytes: usize) {
        let Account { bytes: own, total } = &*self.account;
        for counter in [own, &**total] {
            counter.fetch_add(bytes, Ordering::Relaxed);
            counter.fetch_sub(self.bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}
