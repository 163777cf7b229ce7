//! Which container a process belongs to, even if it tries to leave, or to pass for another one.
//!
//! The evidence, what it can be relied on for, and by whom it can be changed:
//!
//! - Descent: a process that was started in a container, and its children, stay in it wherever they move. Nobody can
//!   change it. Engines start their containers from the host; an engine that is itself in a container starts containers
//!   inside of that one.
//! - The mount namespace, which a container shares neither with another one nor with the host: it belongs to the container
//!   of the process that it was first seen with, for as long as that process lives (the kernel reuses the numbers of
//!   namespaces). A container that enters the namespace of a service on the host does not become its owner.
//! - The path of the cgroup, see [`super::cgroup`]. It names the container most exactly, and whoever may write to the
//!   cgroup tree can move any process to any cgroup.
//! - What started the process: below a container runtime, mount and pid namespaces of its own make a container even if
//!   no cgroup names it.
//!
//! So the cgroup names the container as long as the older evidence admits it: of a process that comes from the host, any
//! container; of one that comes from a container, that one or one inside of it. Otherwise the older evidence counts, and
//! what contradicts it is told.
//!
//! The programs that engines run to set up a container are in its cgroup before the container's own program is. They
//! were started outside, which no process in the container can fake.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use sensor_abi::Namespaces;

use super::cgroup::{ContainerIdentity, names};
use super::engines::Engines;
use super::places::Places;
use super::shares::Shares;

/// Mount namespaces whose owner is remembered. Of more than that, whoever has the most has not the newest.
const NAMESPACE_LIMIT: usize = 16_384;
/// After how many of them those are released whose witness is gone, at least.
const NAMESPACES_BETWEEN_RELEASES: usize = 1024;
/// The longest path that is thought over later; no engine needs longer ones.
const PATH_LIMIT: usize = 1024;

type Container = Option<Arc<ContainerIdentity>>;

/// How a process is known to belong to its container, and where its program was started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Membership {
    pub evidence: Evidence,
    /// The id of another container that some of the evidence names.
    pub conflict: Option<Arc<str>>,
    /// The container that the process was in when its program was started.
    pub program_started_in: Container,
    /// The path of the cgroup in which the process, or one that it descends from, came from the host, if its container
    /// follows from that alone. What engines say of it later changes the conclusion.
    pub(crate) came_into: Option<Arc<str>>,
}

/// The evidence that a process belongs to a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evidence {
    #[default]
    Cgroup,
    /// The mount namespace is the container's, or shows that there is one.
    Namespace,
    /// The process or the one that started it was in the container before.
    Descent,
}

impl Evidence {
    /// `tidewaiter.container.identified_by`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Evidence::Cgroup => "cgroup",
            Evidence::Namespace => "namespace",
            Evidence::Descent => "descent",
        }
    }
}

/// The containers of processes, by the evidence seen so far. `Key` identifies a process and is never reused.
pub(crate) struct Containers<Key> {
    places: Places,
    owners: HashMap<u32, Owner<Key>, RandomState>,
    /// The mount namespaces that have an owner, by the outermost container.
    shares: Shares<u32>,
    /// How many namespaces may still come until those are released whose witness is gone.
    until_release: usize,
}

/// The owner of a mount namespace.
struct Owner<Key> {
    container: Container,
    /// As in [`Membership`].
    came_into: Option<Arc<str>>,
    /// The process that the namespace was first seen with, and its pid namespace.
    witness: Key,
    pid_namespace: u32,
    /// Its number among those of its share.
    number: u64,
}

/// The container that a mount namespace belongs to, by what is known now.
struct Owning {
    container: Container,
    pid_namespace: u32,
}

/// What is seen of a process that starts a program, or that runs one when the sensor starts.
pub(crate) struct Observation<'a, Key> {
    pub key: Key,
    pub cgroup: &'a str,
    /// The cgroup's id in the v2 tree; 0 if it is in another, or not known.
    pub cgroup_id: u64,
    pub namespaces: Namespaces,
    pub before: Before,
    /// The container whose runtime the process descends from and shares no namespaces with, if it comes from the host.
    pub started: &'a dyn Fn() -> Option<ContainerIdentity>,
}

/// What was known of a process before, or else what is known of its parent.
#[derive(Clone, Default)]
pub(crate) struct Before {
    pub container: Container,
    pub namespaces: Namespaces,
    pub conflict: Option<Arc<str>>,
    pub came_into: Option<Arc<str>>,
}

/// Where a process is.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub container: Container,
    pub evidence: Evidence,
    pub conflict: Option<Arc<str>>,
    pub came_into: Option<Arc<str>>,
    /// Whether it is the first process that was seen in its mount namespace.
    pub is_first: bool,
}

impl Located {
    fn by(evidence: Evidence, container: Arc<ContainerIdentity>) -> Self {
        Located {
            container: Some(container),
            evidence,
            conflict: None,
            came_into: None,
            is_first: false,
        }
    }

    /// On the host.
    fn nowhere() -> Self {
        Located {
            container: None,
            evidence: Evidence::Cgroup,
            conflict: None,
            came_into: None,
            is_first: false,
        }
    }

    fn against(self, other: &ContainerIdentity) -> Self {
        Located {
            conflict: Some(other.id.as_str().into()),
            ..self
        }
    }
}

impl<Key: Copy + PartialEq> Containers<Key> {
    pub(crate) fn new(engines: Box<dyn Engines>) -> Self {
        Containers {
            places: Places::new(engines),
            owners: HashMap::default(),
            shares: Shares::default(),
            until_release: NAMESPACES_BETWEEN_RELEASES,
        }
    }

    /// The container of a process that starts a program, and the evidence for it.
    pub(crate) fn locate(&mut self, mut seen: Observation<'_, Key>, is_live: &dyn Fn(Key) -> bool) -> Located {
        seen.before.container = self.places.now(seen.before.container, seen.before.came_into.as_deref());
        let named = self.places.named(seen.cgroup);
        let owner = self.owners.get(&seen.namespaces.mount);
        let owner = owner.filter(|owner| is_live(owner.witness));
        let is_first = seen.namespaces.mount != 0 && owner.is_none_or(|owner| owner.witness == seen.key);
        let owner = owner.map(|owner| Owning {
            container: self.places.now(owner.container.clone(), owner.came_into.as_deref()),
            pid_namespace: owner.pid_namespace,
        });
        let mut located = self.weigh(&seen, named.container.clone(), owner.as_ref());
        let path = self
            .places
            .keep(seen.cgroup, seen.cgroup_id, named, outermost(&located.container));
        located.came_into = came_into(&seen.before.container, seen.before.came_into.as_ref(), &located, path);
        located.is_first = is_first;
        self.learn(&seen, &located, is_live);
        located
    }

    /// What follows for a process whose cgroup and program are the same as before: engines may have said more.
    pub(crate) fn think_over(&mut self, container: &mut Container, membership: &mut Membership) {
        let now = self.places.now(container.clone(), membership.came_into.as_deref());
        if now != *container {
            if membership.program_started_in == *container {
                membership.program_started_in.clone_from(&now);
            }
            *container = now;
        }
    }

    /// What follows for a process that was moved to a cgroup while its program ran. `find_path` finds the cgroup's path
    /// if it has not been seen yet.
    pub(crate) fn relocate(
        &mut self,
        container: &mut Container,
        membership: &mut Membership,
        cgroup_id: u64,
        find_path: &mut dyn FnMut() -> Option<String>,
    ) {
        let path = self.places.path(cgroup_id).or_else(|| Some(find_path()?.into()));
        let named = path.as_deref().and_then(|path| self.places.container(path));
        let located = match (container.as_ref(), named, &path) {
            (Some(before), Some(named), Some(path)) if !admits(before, &named, path) => {
                Located::by(Evidence::Descent, Arc::clone(before))
            }
            (Some(before), None, _) => Located::by(Evidence::Descent, Arc::clone(before)),
            (_, Some(named), _) => Located::by(Evidence::Cgroup, named),
            (None, None, _) => Located::nowhere(),
        };
        membership.came_into = came_into(
            container,
            membership.came_into.as_ref(),
            &located,
            path.unwrap_or_default(),
        );
        membership.evidence = located.evidence;
        *container = located.container;
    }

    fn weigh(&self, seen: &Observation<'_, Key>, named: Container, owner: Option<&Owning>) -> Located {
        let namespaces = &seen.namespaces;
        let owning = owner.and_then(|owner| owner.container.as_ref());
        let is_owners = |container: &ContainerIdentity| {
            owning.is_some_and(|owning| owning.outermost_id() == container.outermost_id())
        };
        match (seen.before.container.clone(), named) {
            (Some(before), Some(named)) if admits(&before, &named, seen.cgroup) => {
                let located = Located::by(Evidence::Cgroup, named.clone());
                // Once it is in another container's namespace, so is what it starts there.
                let has_entered = |owning: &ContainerIdentity| {
                    enters(seen.before.namespaces.mount, namespaces.mount)
                        || seen.before.conflict.as_deref() == Some(owning.id.as_str())
                };
                match owning {
                    Some(owning) if !is_owners(&named) && has_entered(owning) => located.against(owning),
                    _ => located,
                }
            }
            (Some(before), Some(named)) => {
                if let Some(owning) = owning
                    && is_owners(&before)
                    && is_same(owning, &named)
                {
                    return Located::by(Evidence::Cgroup, Arc::clone(owning));
                }
                let is_new = owner.is_none()
                    && enters(seen.before.namespaces.mount, namespaces.mount)
                    && enters(seen.before.namespaces.pid, namespaces.pid);
                if is_new && let Some(inner) = self.inside(&before, &named) {
                    return Located::by(Evidence::Cgroup, Arc::new(inner));
                }
                let evidence = if owning == Some(&before) {
                    Evidence::Namespace
                } else {
                    Evidence::Descent
                };
                let is_around = named.nested_in.is_none() && before.outermost_id() == named.id;
                let is_its_own = is_same(&before, &named) || is_around;
                let is_namesake = before.id == named.id;
                let located = Located::by(evidence, before);
                match &named.nested_in {
                    _ if is_its_own => located,
                    Some(outermost) if is_namesake => located.against(outermost),
                    _ => located.against(&named),
                }
            }
            (Some(before), None) => match owning {
                Some(owning) if is_owners(&before) => Located::by(Evidence::Namespace, Arc::clone(owning)),
                Some(owning) => Located::by(Evidence::Descent, before).against(owning),
                None => Located::by(Evidence::Descent, before),
            },
            (None, Some(named)) => match (owner, owning) {
                // In one of the two namespaces alone it is a guest, whose cgroup tells more.
                (Some(owner), Some(owning))
                    if owner.pid_namespace == namespaces.pid
                        && !admits(owning, &named, seen.cgroup)
                        && owning.outermost_id() != named.id =>
                {
                    Located::by(Evidence::Namespace, Arc::clone(owning)).against(&named)
                }
                _ => Located::by(Evidence::Cgroup, named),
            },
            (None, None) => {
                let started = || (seen.started)().and_then(|found| self.believed(found)).map(Arc::new);
                match owning.cloned().or_else(started) {
                    Some(container) => Located::by(Evidence::Namespace, container),
                    None => Located::nowhere(),
                }
            }
        }
    }

    /// A container that one in `outer` started in a part of the cgroup tree that is not `outer`'s.
    fn inside(&self, outer: &ContainerIdentity, named: &ContainerIdentity) -> Option<ContainerIdentity> {
        let mut outermost = outer.clone();
        if let Some(around) = outermost.nested_in.take() {
            outermost = *around;
        }
        let inner = ContainerIdentity {
            rootless_owner: outermost.rootless_owner,
            nested_in: Some(Box::new(outermost)),
            ..named.clone()
        };
        (!self.places.engines().refutes(inner.claim())).then_some(inner)
    }

    fn believed(&self, found: ContainerIdentity) -> Option<ContainerIdentity> {
        found.unmask(|claim| self.places.engines().refutes(claim))
    }

    /// Remembers whose the mount namespace is, if nobody owns it.
    fn learn(&mut self, seen: &Observation<'_, Key>, located: &Located, is_live: &dyn Fn(Key) -> bool) {
        let mount = seen.namespaces.mount;
        let previous = self.owners.get(&mount);
        if mount == 0 || located.conflict.is_some() || previous.is_some_and(|owner| is_live(owner.witness)) {
            return;
        }
        // Who was in a container before may have gone to a place that is somebody else's.
        let came_from_container = seen.before.container.is_some();
        let is_others = |previous: &Owner<Key>| outermost(&previous.container) != outermost(&located.container);
        if came_from_container && (located.evidence == Evidence::Descent || previous.is_some_and(is_others)) {
            return;
        }
        self.until_release -= 1;
        if self.until_release == 0 {
            self.release(is_live);
        }
        let share = outermost(&located.container);
        let owner = Owner {
            container: located.container.clone(),
            came_into: located.came_into.clone(),
            witness: seen.key,
            pid_namespace: seen.namespaces.pid,
            number: self.shares.add(share, mount, 1),
        };
        if let Some(previous) = self.owners.insert(mount, owner) {
            self.shares.remove(outermost(&previous.container), previous.number);
        }
        // Not the oldest, which is that of the container's first process.
        if self.owners.len() > NAMESPACE_LIMIT
            && let Some(mount) = self.shares.remove_newest()
        {
            self.owners.remove(&mount);
        }
    }

    /// Forgets the namespaces whose witness is gone.
    fn release(&mut self, is_live: &dyn Fn(Key) -> bool) {
        let gone = self.owners.extract_if(|_, owner| !is_live(owner.witness));
        for (_, owner) in gone {
            self.shares.remove(outermost(&owner.container), owner.number);
        }
        // As many as there are to look at, so that looking costs each a constant time.
        self.until_release = self.owners.len().max(NAMESPACES_BETWEEN_RELEASES);
    }
}

/// The path that a process's container follows from, as in [`Membership`]: of the cgroup where it is now, if it comes
/// from the host, and otherwise the one from before while its container is the same.
fn came_into(
    before: &Container,
    before_into: Option<&Arc<str>>,
    located: &Located,
    path: Arc<str>,
) -> Option<Arc<str>> {
    match before {
        None => {
            let is_named = located.container.is_some() && located.evidence == Evidence::Cgroup;
            (is_named && path.len() <= PATH_LIMIT).then_some(path)
        }
        Some(_) => before_into.filter(|_| *before == located.container).cloned(),
    }
}

/// Whether a process got into another namespace, as far as both are known.
fn enters(before: u32, now: u32) -> bool {
    before != 0 && now != 0 && before != now
}

/// Whether a process that was in one container can be in the one that its cgroup's path names without having gone to
/// somebody else's: it is the same, or inside of it.
fn admits(before: &ContainerIdentity, named: &ContainerIdentity, path: &str) -> bool {
    before.outermost_id() == named.outermost_id()
        && (before.nested_in.is_none() || before.id == named.id || names(path, &before.id))
}

/// Whether a path names a container, with or without what it is in.
fn is_same(container: &ContainerIdentity, named: &ContainerIdentity) -> bool {
    container.id == named.id && [container.id.as_str(), container.outermost_id()].contains(&named.outermost_id())
}

/// Empty for the host.
fn outermost(container: &Container) -> &str {
    container.as_deref().map_or("", ContainerIdentity::outermost_id)
}

#[cfg(test)]
mod tests;
