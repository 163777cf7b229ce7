//! Where a container's program is from.

use sensor_abi::{FLAG_EXECUTABLE_DETACHED, FLAG_EXECUTABLE_UPPER, OVERLAY_MAGIC};

use super::*;

const HOST: u32 = 4_026_531_841;
const MOUNT: u32 = 4_026_532_000;
const TMPFS: u32 = 0x0102_1994;
const EXT4: u32 = 0xef53;
/// The devices of the container's root, and of what else it or the host has mounted.
const ROOT: u32 = 50;
const OTHER: u32 = 51;

/// What is seen of a program: its process's root, and the file's device and file system, in whose mount namespace.
struct Seen {
    root: u32,
    device: u32,
    file_system: u32,
    namespace: u32,
    flags: u16,
}

const OF_IMAGE: Seen = Seen {
    root: ROOT,
    device: ROOT,
    file_system: OVERLAY_MAGIC,
    namespace: MOUNT,
    flags: 0,
};

fn run(table: &mut ProcessTable, who: Who, cgroup: &str, seen: &Seen) -> Option<&'static str> {
    let is_detached = seen.flags & FLAG_EXECUTABLE_DETACHED != 0;
    let mut exec = exec_of(who, if is_detached { "memfd:x" } else { "/x" }, cgroup);
    exec.fixed.root_device = seen.root;
    exec.fixed.root_inode = 2;
    exec.fixed.file.device = seen.device;
    exec.fixed.file.file_system = seen.file_system;
    exec.fixed.executable_namespace = seen.namespace;
    exec.fixed.namespaces.mount = if who.pid < 30 { HOST } else { MOUNT };
    exec.fixed.head.flags = seen.flags;
    let key = table.exec(&exec);
    let file = table.get(key).and_then(|process| process.image().file)?;
    file.origin.map(|origin| origin.name())
}

/// Starts a container: the process 30, whose parent 20 is on the host.
fn started(table: &mut ProcessTable) -> Who {
    const ON_HOST: Seen = Seen {
        root: 1,
        device: 1,
        file_system: EXT4,
        namespace: HOST,
        flags: 0,
    };
    assert_eq!(run(table, who(1, 0), "/init.scope", &ON_HOST), None);
    fork(table, who(20, 1));
    assert_eq!(run(table, who(20, 1), "/system.slice/docker.service", &ON_HOST), None);
    let first = Who {
        cgroup_id: 77,
        ..who(30, 20)
    };
    fork(table, first);
    assert_eq!(run(table, first, CONTAINER, &OF_IMAGE), Some("image"));
    first
}

#[test]
fn a_program_is_held_against_the_file_system_that_its_container_was_started_with() {
    let mut table = ProcessTable::default();
    let child = child_of(started(&mut table));
    fork(&mut table, child);
    let seen = |device, file_system, namespace, flags| Seen {
        device,
        file_system,
        namespace,
        flags,
        ..OF_IMAGE
    };
    for (seen, expected) in [
        (seen(ROOT, OVERLAY_MAGIC, MOUNT, 0), Some("image")),
        (seen(ROOT, OVERLAY_MAGIC, MOUNT, FLAG_EXECUTABLE_UPPER), Some("upper")),
        (seen(OTHER, TMPFS, MOUNT, 0), Some("tmpfs")),
        (seen(OTHER, EXT4, MOUNT, 0), Some("volume")),
        (seen(OTHER, OVERLAY_MAGIC, MOUNT, 0), Some("volume")),
        (seen(OTHER, TMPFS, 0, FLAG_EXECUTABLE_DETACHED), Some("memory")),
        (seen(OTHER, EXT4, HOST, 0), Some("host")),
        (seen(ROOT, EXT4, MOUNT, 0), None),
    ] {
        assert_eq!(run(&mut table, child, CONTAINER, &seen), expected);
    }
}

#[test]
fn who_changes_its_root_does_not_change_what_the_image_is() {
    let mut table = ProcessTable::default();
    let child = child_of(started(&mut table));
    fork(&mut table, child);
    let in_root_of_its_own = Seen {
        root: OTHER,
        device: OTHER,
        ..OF_IMAGE
    };
    assert_eq!(run(&mut table, child, CONTAINER, &in_root_of_its_own), Some("volume"));
    let grandchild = Who {
        pid: 32,
        parent: 31,
        start: 32 * TICK,
        parent_start: child.start,
        ..child
    };
    fork(&mut table, grandchild);
    assert_eq!(
        run(&mut table, grandchild, CONTAINER, &in_root_of_its_own),
        Some("volume")
    );
    assert_eq!(run(&mut table, grandchild, CONTAINER, &OF_IMAGE), Some("image"));
}

#[test]
fn nothing_is_told_of_a_process_whose_coming_into_the_container_was_not_seen() {
    let mut table = ProcessTable::default();
    let unknown = Who {
        cgroup_id: 77,
        ..who(30, 20)
    };
    assert_eq!(run(&mut table, unknown, CONTAINER, &OF_IMAGE), None);
}
