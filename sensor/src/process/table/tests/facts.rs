//! What the sensor knows of a process that nobody in a container can put on.

use sensor_abi::OVERLAY_MAGIC;

use super::*;

const HOST: u32 = 4_026_531_841;
const INSIDE: u32 = 4_026_532_000;
const HOSTS_ROOT: (u32, u64) = (1, 2);
const ROOT: (u32, u64) = (50, 256);

/// A program of an image, as it runs in a mount namespace (whose number the other namespaces have too) and a root.
fn seen(who: Who, executable: &str, cgroup: &str, namespace: u32, root: (u32, u64)) -> Exec {
    let mut exec = exec_of(who, executable, cgroup);
    (exec.fixed.root_device, exec.fixed.root_inode) = root;
    exec.fixed.file.device = root.0;
    exec.fixed.file.file_system = OVERLAY_MAGIC;
    exec.fixed.executable_namespace = namespace;
    exec.fixed.namespaces.mount = namespace;
    exec.fixed.namespaces.pid = namespace;
    exec.fixed.namespaces.network = HOST;
    exec
}

fn outside(who: Who, executable: &str) -> Exec {
    seen(who, executable, "/system.slice/docker.service", HOST, HOSTS_ROOT)
}

fn inside(who: Who, executable: &str) -> Exec {
    seen(who, executable, CONTAINER, INSIDE, ROOT)
}

fn in_container(pid: u32, parent: u32) -> Who {
    Who {
        cgroup_id: 77,
        session: 30,
        ..who(pid, parent)
    }
}

/// The host's first process (1) and a shim (20).
fn with_a_shim() -> ProcessTable {
    let mut table = ProcessTable::default();
    table.exec(&seen(who(1, 0), "/sbin/init", "/init.scope", HOST, HOSTS_ROOT));
    fork(&mut table, who(20, 1));
    table.exec(&outside(who(20, 1), "/usr/bin/containerd-shim-runc-v2"));
    table
}

/// Runs a program in a container, in a process of its own.
fn run(table: &mut ProcessTable, pid: u32, parent: u32, executable: &str) -> ProcessKey {
    fork(table, in_container(pid, parent));
    table.exec(&inside(in_container(pid, parent), executable))
}

fn entered(table: &ProcessTable, key: ProcessKey) -> Vec<&'static str> {
    table.get(key).unwrap().entered_host.names().collect()
}

#[test]
fn what_a_process_of_a_container_comes_into_of_the_host_is_told_once() {
    let mut table = with_a_shim();
    let first = run(&mut table, 30, 20, "/bin/sh");
    assert!(
        entered(&table, first).is_empty(),
        "the network was given to the container"
    );
    fork(&mut table, in_container(31, 30));
    let mut tool = inside(in_container(31, 30), "/usr/bin/python3");
    let key = table.exec(&tool);
    assert!(entered(&table, key).is_empty());

    // It joins them by a system call, which is no event, and starts a program.
    fork(&mut table, in_container(32, 31));
    tool = seen(in_container(32, 31), "/bin/sh", CONTAINER, HOST, HOSTS_ROOT);
    let key = table.exec(&tool);
    assert_eq!(entered(&table, key), ["mount", "pid", "root"]);
    fork(&mut table, in_container(33, 32));
    tool = seen(in_container(33, 32), "/bin/ls", CONTAINER, HOST, HOSTS_ROOT);
    let key = table.exec(&tool);
    assert!(entered(&table, key).is_empty(), "what it starts there");
}

#[test]
fn a_root_is_the_hosts_if_it_is_that_directory_and_not_for_its_file_system_alone() {
    let mut table = with_a_shim();
    run(&mut table, 30, 20, "/bin/sh");
    for (pid, root, expected) in [
        (31, HOSTS_ROOT, &["root"][..]),
        (32, (HOSTS_ROOT.0, 99), &[]),
        (33, ROOT, &[]),
    ] {
        fork(&mut table, in_container(pid, 30));
        let key = table.exec(&seen(in_container(pid, 30), "/bin/sh", CONTAINER, INSIDE, root));
        assert_eq!(entered(&table, key), expected);
    }
}

#[test]
fn an_engines_helper_is_one_while_it_is_in_the_hosts_mount_namespace() {
    let mut table = with_a_shim();
    fork(&mut table, who(29, 20));
    let is_helper = |table: &ProcessTable, key| table.get(key).unwrap().is_runtime_helper();
    let key = table.exec(&seen(
        in_container(29, 20),
        "memfd:runc_cloned",
        CONTAINER,
        HOST,
        HOSTS_ROOT,
    ));
    assert!(is_helper(&table, key));
    let key = table.exec(&inside(in_container(29, 20), "/bin/sh"));
    assert!(!is_helper(&table, key));
    assert!(entered(&table, key).is_empty());
    // Who goes back from there has come from the container.
    fork(&mut table, in_container(30, 29));
    let key = table.exec(&seen(
        in_container(30, 29),
        "memfd:runc_cloned",
        CONTAINER,
        HOST,
        HOSTS_ROOT,
    ));
    assert!(!is_helper(&table, key));
}

#[test]
fn a_start_prepares_as_long_as_nothing_but_shells_and_inits_ran() {
    let mut table = with_a_shim();
    let prepares = |table: &ProcessTable, key| {
        let entry = table.get(key).unwrap().entry.unwrap();
        entry.start.map(|start| start.is_preparation)
    };
    let first = Who {
        session: 30,
        ..in_container(30, 20)
    };
    fork(&mut table, first);
    let key = table.exec(&inside(first, "/usr/bin/tini"));
    assert_eq!(prepares(&table, key), Some(true));
    let script = run(&mut table, 31, 30, "/bin/bash");
    assert_eq!(prepares(&table, script), Some(true));
    let tool = run(&mut table, 32, 31, "/bin/chmod");
    assert_eq!(prepares(&table, tool), Some(true));
    let key = fork(&mut table, in_container(33, 32));
    assert_eq!(prepares(&table, key), Some(false), "what a tool starts");

    // The service, in the script's place, and a shell in the service's.
    let service = table.exec(&inside(in_container(31, 30), "/usr/sbin/nginx"));
    assert_eq!(prepares(&table, service), Some(true));
    let key = table.exec(&inside(in_container(31, 30), "/bin/sh"));
    assert_eq!(prepares(&table, key), Some(false));
    let key = run(&mut table, 34, 31, "/bin/cat");
    assert_eq!(prepares(&table, key), Some(false));

    // A shell that is not the image's.
    let mut brought = inside(in_container(35, 30), "/tmp/sh");
    brought.fixed.head.flags = sensor_abi::FLAG_EXECUTABLE_UPPER;
    fork(&mut table, in_container(35, 30));
    table.exec(&brought);
    let key = run(&mut table, 36, 35, "/bin/cat");
    assert_eq!(prepares(&table, key), Some(false));

    let later = Who {
        session: 40,
        ..in_container(40, 20)
    };
    fork(&mut table, later);
    let key = table.exec(&inside(later, "/bin/sh"));
    assert_eq!(prepares(&table, key), None);
}

#[test]
fn nobody_in_a_container_starts_one_by_the_name_of_a_runtime() {
    let mut table = with_a_shim();
    run(&mut table, 30, 20, "/usr/sbin/nginx");
    run(&mut table, 31, 30, "/tmp/runc");
    let made_up = Who {
        session: 32,
        ..in_container(32, 31)
    };
    fork(&mut table, made_up);
    let key = table.exec(&seen(made_up, "/bin/sh", CONTAINER, INSIDE + 1, ROOT));
    let start = table.get(key).unwrap().entry.unwrap().start;
    assert!(start.is_none_or(|start| !start.is_preparation));
}

#[test]
fn what_a_package_manager_of_the_image_runs_is_its_own_while_it_runs() {
    let mut table = with_a_shim();
    let manager = |table: &ProcessTable, key| {
        let manager = table.package_manager(table.get(key).unwrap());
        manager.map(|manager| manager.image().executable.to_string())
    };
    run(&mut table, 30, 20, "/bin/sh");
    let key = run(&mut table, 31, 30, "/usr/bin/apt-get");
    assert_eq!(manager(&table, key), None, "not its own");
    let key = run(&mut table, 32, 31, "/usr/bin/dpkg");
    assert_eq!(manager(&table, key).as_deref(), Some("/usr/bin/apt-get"));
    let script = run(&mut table, 33, 32, "/bin/sh");
    let left = run(&mut table, 34, 33, "/usr/sbin/nginx");
    assert_eq!(manager(&table, script).as_deref(), Some("/usr/bin/apt-get"));
    assert_eq!(manager(&table, left).as_deref(), Some("/usr/bin/apt-get"));
    exit(&mut table, in_container(31, 30));
    assert_eq!(manager(&table, left), None, "what stays");

    let mut brought = inside(in_container(40, 30), "/usr/bin/dpkg");
    brought.fixed.head.flags = sensor_abi::FLAG_EXECUTABLE_UPPER;
    fork(&mut table, in_container(40, 30));
    table.exec(&brought);
    let key = run(&mut table, 41, 40, "/bin/sh");
    assert_eq!(manager(&table, key), None, "a file that was replaced");

    run(&mut table, 50, 30, "/usr/bin/dpkg");
    run(&mut table, 51, 50, "/bin/sh");
    table.exec(&inside(in_container(50, 30), "/bin/sleep"));
    assert_eq!(
        manager(&table, table.live(51).unwrap().key),
        None,
        "a manager that runs another program by now"
    );
}
