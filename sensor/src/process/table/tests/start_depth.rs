//! How far a process is from what its container was started with.

use super::*;

/// The mount namespace of the container.
const MOUNT: u32 = 4_026_532_000;

/// What runs before a container is started: process 20 starts it.
fn with_a_shim() -> ProcessTable {
    let mut table = ProcessTable::default();
    exec(&mut table, who(1, 0), "/sbin/init", "/init.scope");
    fork(&mut table, who(20, 1));
    exec(
        &mut table,
        who(20, 1),
        "/usr/bin/containerd-shim-runc-v2",
        "/system.slice/docker.service",
    );
    table
}

/// What is seen of a program that runs in a mount namespace.
fn exec_in(table: &mut ProcessTable, who: Who, executable: &str, mount: u32) -> ProcessKey {
    let mut record = exec_of(who, executable, CONTAINER);
    record.fixed.namespaces.mount = mount;
    table.exec(&record)
}

#[test]
fn the_terminal_of_a_containers_start_is_its_sessions_and_no_others() {
    const OTHER: u32 = PTS + 1;
    let mut table = with_a_shim();
    let mut run = |pid, parent, session, terminal| {
        let who = Who {
            cgroup_id: 77,
            session,
            terminal,
            ..who(pid, parent)
        };
        fork(&mut table, who);
        let key = exec_in(&mut table, who, "/bin/sh", MOUNT);
        table.get(key).unwrap().is_at_start_terminal()
    };
    assert!(run(30, 20, 30, PTS), "the start itself");
    assert!(run(31, 30, 30, PTS), "its child");
    assert!(run(32, 31, 30, PTS), "and that one's");
    assert!(!run(33, 31, 30, 0), "without a terminal");
    assert!(
        !run(34, 31, 34, PTS),
        "another session, perhaps on another mount of terminals"
    );
    assert!(!run(35, 31, 35, OTHER), "at a terminal that it made");
    assert!(!run(40, 20, 40, OTHER), "what came in later");
    assert!(
        !run(41, 20, 41, PTS),
        "what came in later, by another engine's terminal"
    );
    // The start itself goes to another terminal, and runs another program there.
    assert!(!run(30, 20, 30, OTHER));
    assert!(!run(36, 30, 30, OTHER));
}

#[test]
fn the_depth_below_a_containers_start_is_counted_from_its_first_program() {
    let mut table = with_a_shim();
    let depth = |table: &ProcessTable, key| table.get(key).unwrap().entry.unwrap().start.map(|start| start.depth);
    let in_container = |pid, parent| Who {
        cgroup_id: 77,
        ..who(pid, parent)
    };

    let first = in_container(30, 20);
    fork(&mut table, first);
    let key = exec_in(&mut table, first, "/entrypoint.sh", MOUNT);
    assert_eq!(depth(&table, key), Some(0));
    let key = exec_in(&mut table, first, "/usr/bin/server", MOUNT);
    assert_eq!(depth(&table, key), Some(0), "the same process");

    let child = Who {
        session: 30,
        ..in_container(31, 30)
    };
    let key = fork(&mut table, child);
    assert_eq!(depth(&table, key), Some(1));
    exec_in(&mut table, child, "/bin/sh", MOUNT);
    assert_eq!(depth(&table, key), Some(1));
    let grandchild = Who {
        session: 30,
        ..in_container(32, 31)
    };
    let key = fork(&mut table, grandchild);
    // One that makes a session and a namespace of its own started nothing but itself.
    exec_in(
        &mut table,
        Who {
            session: 32,
            ..grandchild
        },
        "/bin/sh",
        MOUNT + 1,
    );
    assert_eq!(depth(&table, key), Some(2));

    let later = in_container(40, 20);
    fork(&mut table, later);
    let key = exec_in(&mut table, later, "/bin/sh", MOUNT);
    assert_eq!(depth(&table, key), None);
}
