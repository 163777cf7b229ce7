//! How far a process is from what its container was started with.

use super::*;

/// What is seen of a program that runs in a mount namespace.
fn exec_in(table: &mut ProcessTable, who: Who, executable: &str, mount: u32) -> ProcessKey {
    let mut record = exec_of(who, executable, CONTAINER);
    record.fixed.namespaces.mount = mount;
    table.exec(&record)
}

#[test]
fn the_depth_below_a_containers_start_is_counted_from_its_first_program() {
    const MOUNT: u32 = 4_026_532_000;
    let mut table = ProcessTable::default();
    exec(&mut table, who(1, 0), "/sbin/init", "/init.scope");
    fork(&mut table, who(20, 1));
    exec(
        &mut table,
        who(20, 1),
        "/usr/bin/containerd-shim-runc-v2",
        "/system.slice/docker.service",
    );
    let depth = |table: &ProcessTable, key| table.get(key).unwrap().entry.unwrap().start_depth;
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
