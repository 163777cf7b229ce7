//! Containers that no cgroup names: what a container runtime of the host started into namespaces of its own.

use super::key::ProcessKey;
use super::model::{CHAIN_LIMIT, Process};
use super::names::base_name;
use crate::identity::{self, ContainerIdentity, Started};

/// How runc calls the copy of itself that becomes the container's program.
const RUNC_IN_MEMORY: &str = "memfd:runc_cloned";
/// The first pid namespace, by the number that the kernel gave it (`PROC_PID_INIT_INO`).
const FIRST_PID_NAMESPACE: u32 = 0xEFFF_FFFC;

/// Whether a process runs a container runtime.
pub(super) fn starts_containers(process: &Process) -> bool {
    identity::starts_containers(program(&process.image().executable))
}

fn starter(process: &Process) -> Option<Started> {
    let image = process.image();
    identity::started_by(program(&image.executable), &image.args().iter().collect::<Vec<_>>())
}

fn program(executable: &str) -> &str {
    if executable.starts_with(RUNC_IN_MEMORY) {
        "runc"
    } else {
        base_name(executable)
    }
}

/// The container that a process of the host is in because a runtime of the host put it into a mount and a pid namespace
/// that are not its own. Of a process that was the runtime until now, as what becomes a container's first one is, the mount
/// namespace is enough: a container may share the host's processes. `known` is the process before its new program.
pub(super) fn started_container<'a>(
    find: &dyn Fn(ProcessKey) -> Option<&'a Process>,
    process: &Process,
    known: Option<&Process>,
) -> Option<ContainerIdentity> {
    let own = process.namespaces;
    let was_runtime = known.is_some_and(starts_containers);
    if own.mount == 0 || (own.pid == FIRST_PID_NAMESPACE && !was_runtime) {
        return None;
    }
    // A runtime may end before its container's program begins.
    let parents = [known.map(|known| known.parent), Some(process.parent)];
    let (runtime, started) = parents.into_iter().flatten().find_map(|parent| {
        let ancestors = || std::iter::successors(find(parent), |process| find(process.parent)).take(CHAIN_LIMIT);
        let skipped = ancestors().take_while(|process| !starts_containers(process)).count();
        let runtimes = ancestors()
            .skip(skipped)
            .map_while(|process| Some((process, starter(process)?)));
        runtimes.reduce(|(runtime, started), (_, above)| (runtime, started.below(above)))
    })?;
    let theirs = runtime.namespaces;
    let is_apart = own.mount != theirs.mount && (own.pid != theirs.pid || was_runtime);
    let user = runtime.credentials.uid;
    (is_apart && runtime.container.is_none()).then(|| container(process, started, (user != 0).then_some(user)))
}

/// The container whose first process this is by its runtime's word, which only root's are asked for.
pub(super) fn noted_container(process: &Process, noted: Started) -> Option<ContainerIdentity> {
    (process.namespaces.mount != 0).then(|| container(process, noted, None))
}

fn container(process: &Process, started: Started, rootless_owner: Option<u32>) -> ContainerIdentity {
    ContainerIdentity {
        runtime: started.runtime(),
        id: started.unique_id(process.namespaces.mount),
        pod_uid: None,
        rootless_owner,
        nested_in: None,
    }
}
