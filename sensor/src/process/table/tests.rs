use sensor_abi::{Descriptor, ExecFixed, RecordHead};
use zerocopy::FromZeros;

mod budget;
mod facts;
mod origin;
mod sessions;
mod start_depth;
mod start_up;

use super::keep::{AGE_CHECK_INTERVAL_NS, ENDED_AGE_NS, ENDED_LIMIT};
use super::*;
use crate::decode::PathsLeftOut;
use crate::identity::Evidence;
use crate::process::model::{Entry, EntryKind};

const TICK: u64 = 10_000_000;
const CONTAINER: &str = "/docker/3f2a9c0d1b2e4f5a3f2a9c0d1b2e4f5a3f2a9c0d1b2e4f5a3f2a9c0d1b2e4f5a";
const PTS: u32 = 136 << 20 | 1;

/// A process of a story; its start is its pid in ticks, unless said otherwise.
#[derive(Clone, Copy)]
struct Who {
    pid: u32,
    parent: u32,
    session: u32,
    cgroup_id: u64,
    start: u64,
    parent_start: u64,
    terminal: u32,
}

fn who(pid: u32, parent: u32) -> Who {
    Who {
        pid,
        parent,
        session: pid,
        cgroup_id: 1,
        start: u64::from(pid) * TICK,
        parent_start: u64::from(parent) * TICK,
        terminal: 0,
    }
}

fn fixed(who: Who) -> ProcessFixed {
    let mut fixed = ProcessFixed::new_zeroed();
    fixed.pid = who.pid;
    fixed.start_ns = who.start;
    fixed.parent_pid = who.parent;
    fixed.parent_start_ns = who.parent_start;
    fixed.session_pid = who.session;
    fixed.group_pid = who.pid;
    fixed.cgroup_id = who.cgroup_id;
    fixed.terminal = who.terminal;
    fixed
}

fn fork(table: &mut ProcessTable, who: Who) -> ProcessKey {
    let record = ForkRecord {
        head: RecordHead::new_zeroed(),
        process: fixed(who),
        creator_pid: who.parent,
        reserved: 0,
    };
    table.fork(&record, &mut |_| None)
}

fn exec(table: &mut ProcessTable, who: Who, executable: &str, cgroup: &str) -> ProcessKey {
    table.exec(&exec_of(who, executable, cgroup))
}

fn exec_of(who: Who, executable: &str, cgroup: &str) -> Exec {
    let mut exec_fixed = ExecFixed::new_zeroed();
    exec_fixed.process = fixed(who);
    let on_terminal = Descriptor {
        mode: 0o020_620,
        device: who.terminal,
    };
    exec_fixed.descriptors = [on_terminal; 3];
    Exec {
        fixed: exec_fixed,
        executable: executable.to_owned(),
        filename: executable.to_owned(),
        working_directory: "/".to_owned(),
        root: String::new(),
        is_in_root: true,
        cgroup: cgroup.to_owned(),
        left_out: PathsLeftOut::default(),
        shortened: None,
        groups: Vec::new(),
        arguments: [executable.as_bytes(), b"\0"].concat(),
        arguments_complete: true,
        arguments_gap: None,
        environment: Vec::new(),
        environment_complete: false,
    }
}

fn exit(table: &mut ProcessTable, who: Who) -> Option<ProcessKey> {
    let mut record = ExitRecord::new_zeroed();
    record.process = fixed(who);
    table.exit(&record)
}

/// init (1) started dockerd's shim (20), which started a shell in a container (30).
fn shell_in_container(table: &mut ProcessTable) -> Who {
    exec(table, who(1, 0), "/sbin/init", "/init.scope");
    fork(table, who(20, 1));
    exec(
        table,
        who(20, 1),
        "/usr/bin/containerd-shim-runc-v2",
        "/system.slice/docker.service",
    );
    let shell = Who {
        cgroup_id: 77,
        terminal: PTS,
        ..who(30, 20)
    };
    fork(table, shell);
    exec(table, shell, "/bin/bash", CONTAINER);
    shell
}

/// A process (31) that the shell started in its session.
fn child_of(shell: Who) -> Who {
    Who {
        pid: 31,
        parent: shell.pid,
        session: shell.pid,
        start: 31 * TICK,
        parent_start: shell.start,
        ..shell
    }
}

#[test]
fn a_child_is_like_its_creator_until_it_runs_another_image() {
    let mut table = ProcessTable::default();
    let shell = shell_in_container(&mut table);
    let child = child_of(shell);
    let key = fork(&mut table, child);
    let forked = table.get(key).unwrap().clone();
    assert_eq!(&*forked.image().name, "bash");
    assert!(forked.is_interactive());
    assert_eq!(forked.container.as_ref().unwrap().id.len(), 64);
    exec(&mut table, child, "/usr/bin/curl", CONTAINER);
    let process = table.get(key).unwrap();
    assert_eq!(&*process.image().name, "curl");
    assert_eq!(
        process.entry,
        Some(Entry {
            leader: ProcessKey {
                pid: 30,
                start_ticks: 30
            },
            kind: EntryKind::Container,
            start: None,
        })
    );
    assert_eq!(
        process.session_leader,
        Some(ProcessKey {
            pid: 30,
            start_ticks: 30
        })
    );
    let chain = table.chain(key);
    let chain: Vec<String> = chain.iter().map(|process| process.image().name.to_string()).collect();
    assert_eq!(chain, ["bash", "curl"]);
}

#[test]
fn what_init_starts_on_the_host_is_entered_by_init() {
    let mut table = ProcessTable::default();
    shell_in_container(&mut table);
    let shim = table.live(20).unwrap();
    assert_eq!(shim.entry.unwrap().kind, EntryKind::Init);
    assert_eq!(shim.container, None);
}

#[test]
fn a_session_under_sshd_and_one_on_a_console_are_entries_of_their_kind() {
    let mut table = ProcessTable::default();
    exec(&mut table, who(1, 0), "/sbin/init", "/");
    exec(&mut table, who(10, 1), "/usr/sbin/sshd", "/");
    fork(&mut table, who(11, 10));
    exec(&mut table, who(11, 10), "/bin/bash", "/");
    exec(
        &mut table,
        Who {
            terminal: 4 << 20 | 1,
            ..who(12, 1)
        },
        "/bin/login",
        "/",
    );
    exec(
        &mut table,
        Who {
            terminal: 4 << 20 | 64,
            ..who(13, 1)
        },
        "/bin/login",
        "/",
    );
    let kind = |pid| table.live(pid).unwrap().entry.unwrap().kind;
    assert_eq!(kind(10), EntryKind::Init);
    assert_eq!(kind(11), EntryKind::Sshd);
    assert_eq!(kind(12), EntryKind::Console);
    assert_eq!(kind(13), EntryKind::Terminal);
}

#[test]
fn an_orphan_keeps_the_entry_that_it_came_from() {
    let mut table = ProcessTable::default();
    let shell = shell_in_container(&mut table);
    let child = child_of(shell);
    fork(&mut table, child);
    exit(&mut table, shell);
    let orphan = Who {
        parent: 1,
        session: 30,
        ..child
    };
    let key = exec(&mut table, orphan, "/usr/bin/nc", CONTAINER);
    let process = table.get(key).unwrap();
    assert_eq!(process.entry.unwrap().kind, EntryKind::Container);
    assert_eq!(
        &*table.get(process.entry.unwrap().leader).unwrap().image().name,
        "bash",
        "the leader is still known"
    );
}

#[test]
fn a_kernel_thread_and_what_it_starts_have_no_entry() {
    let mut table = ProcessTable::default();
    exec(&mut table, who(1, 0), "/sbin/init", "/");
    for (pid, parent) in [(2, 0), (5, 2)] {
        let mut worker = table.describe(&fixed(who(pid, parent)), None, &mut |_| None);
        worker.entry = None;
        table.insert_found(worker, 0, 0, "/", None);
    }
    fork(&mut table, who(6, 5));
    let key = exec(&mut table, who(6, 5), "/usr/bin/core-handler", "/");
    assert_eq!(table.get(key).unwrap().entry, None);
}

#[test]
fn a_reused_pid_is_another_process() {
    let mut table = ProcessTable::default();
    let first = exec(&mut table, who(40, 1), "/bin/a", "/");
    let second = exec(
        &mut table,
        Who {
            start: 90 * TICK,
            ..who(40, 1)
        },
        "/bin/b",
        "/",
    );
    assert_ne!(first, second);
    assert_eq!(&*table.live(40).unwrap().image().name, "b");
    assert_eq!(&*table.get(first).unwrap().image().name, "a");
    exit(&mut table, who(40, 1));
    assert_eq!(
        &*table.live(40).unwrap().image().name,
        "b",
        "a late exit ends the process that it names"
    );
}

#[test]
fn what_an_event_named_is_not_replaced_by_what_proc_showed() {
    let mut table = ProcessTable::default();
    let key = exec(&mut table, who(40, 1), "/bin/new", "/");
    let mut found = table.get(key).unwrap().clone();
    let image = Image {
        name: "old".into(),
        ..Image::default()
    };
    found.image = SharedImage::new(image, 0);
    table.insert_found(found, 40, 40, "/", None);
    assert_eq!(&*table.get(key).unwrap().image().name, "new");
}

#[test]
fn memory_follows_the_live_processes_and_keeps_their_leaders() {
    let mut table = ProcessTable::default();
    let shell = shell_in_container(&mut table);
    let child = child_of(shell);
    let key = fork(&mut table, child);
    exit(&mut table, shell);
    for pid in 100..100 + 5 * ENDED_LIMIT as u32 {
        fork(&mut table, who(pid, 1));
        exit(&mut table, who(pid, 1));
        assert!(table.processes.len() <= 2 * ENDED_LIMIT + 8);
    }
    assert!(table.counts.forgotten > 0);
    let leader = table.get(key).unwrap().session_leader.unwrap();
    assert_eq!(&*table.get(leader).unwrap().image().name, "bash");
}

#[test]
fn who_ended_long_ago_is_forgotten_but_for_leaders() {
    let mut table = ProcessTable::default();
    let shell = shell_in_container(&mut table);
    let child = fork(&mut table, child_of(shell));
    let other = fork(&mut table, who(40, 1));
    exit(&mut table, shell);
    exit(&mut table, who(40, 1));
    let later = |table: &mut ProcessTable, pid: u32, time_ns: u64| {
        let mut record = ForkRecord::new_zeroed();
        record.head.time_ns = time_ns;
        record.process = fixed(who(pid, 1));
        table.fork(&record, &mut |_| None);
    };
    later(&mut table, 50, ENDED_AGE_NS);
    assert!(table.get(other).is_some());
    later(&mut table, 51, ENDED_AGE_NS + AGE_CHECK_INTERVAL_NS);
    assert_eq!(table.get(other), None);
    let leader = table.get(child).unwrap().session_leader.unwrap();
    assert!(table.get(leader).is_some());
    assert_eq!(table.counts.forgotten, 1);
}

#[test]
fn a_cgroup_that_no_event_named_is_looked_up_once_for_a_fork_into_it() {
    let mut table = ProcessTable::default();
    shell_in_container(&mut table);
    let record = ForkRecord {
        head: RecordHead::new_zeroed(),
        process: fixed(Who {
            cgroup_id: 99,
            ..who(50, 20)
        }),
        creator_pid: 20,
        reserved: 0,
    };
    let mut asked = Vec::new();
    let key = table.fork(&record, &mut |pid| {
        asked.push(pid);
        Some(CONTAINER.replace("3f2a", "aaaa"))
    });
    assert_eq!(asked, [50]);
    assert!(
        table
            .get(key)
            .unwrap()
            .container
            .as_ref()
            .unwrap()
            .id
            .starts_with("aaaa")
    );
}

#[test]
fn a_process_ends_once_however_many_of_its_threads_say_so() {
    let mut table = ProcessTable::default();
    let shell = shell_in_container(&mut table);
    let ended = exit(&mut table, shell);
    assert!(ended.is_some());
    assert_eq!(exit(&mut table, shell), None);
}

#[test]
fn who_begins_a_session_without_an_exec_is_known_as_its_leader_by_its_first_child() {
    let mut table = ProcessTable::default();
    let shell = shell_in_container(&mut table);
    let daemon = child_of(shell);
    let key = fork(&mut table, daemon);
    assert!(!table.get(key).unwrap().is_session_leader());
    let child = Who {
        session: daemon.pid,
        ..who(32, daemon.pid)
    };
    let child = fork(&mut table, child);
    assert!(table.get(key).unwrap().is_session_leader());
    assert_eq!(table.get(child).unwrap().session_leader, Some(key));
}

#[test]
fn ancestors_reach_the_first_process_past_those_that_ended() {
    let mut table = ProcessTable::default();
    let shell = shell_in_container(&mut table);
    let child = child_of(shell);
    let key = fork(&mut table, child);
    exit(&mut table, shell);
    let ancestors = table.ancestors(table.get(key).unwrap());
    let pids: Vec<u32> = ancestors.map(|process| process.key.pid).collect();
    assert_eq!(pids, [30, 20, 1]);
}

#[test]
fn a_child_that_is_seen_before_its_parent_finds_it_once_that_is_seen() {
    let mut table = ProcessTable::default();
    let child = exec(&mut table, who(60, 50), "/bin/child", "/");
    assert_eq!(table.ancestors(table.get(child).unwrap()).count(), 0);
    exec(&mut table, who(50, 1), "/bin/parent", "/");
    let parent = table.ancestors(table.get(child).unwrap()).next().unwrap();
    assert_eq!(&*parent.image().name, "parent");
}

#[test]
fn a_parent_that_ends_before_its_last_child_is_still_known() {
    let mut table = ProcessTable::default();
    let shell = shell_in_container(&mut table);
    let child = child_of(shell);
    fork(&mut table, child);
    exit(&mut table, shell);
    let key = exit(&mut table, child).unwrap();
    let process = table.get(key).unwrap();
    assert_eq!(&*table.get(process.parent).unwrap().image().name, "bash");
    assert_eq!(process.exit, Some(0));
}

#[test]
fn what_an_engine_puts_into_a_cgroup_is_a_helper_until_it_runs_the_containers_program() {
    let mut table = ProcessTable::default();
    exec(&mut table, who(1, 0), "/sbin/init", "/");
    exec(&mut table, who(20, 1), "/usr/bin/containerd-shim-runc-v2", "/");
    exec(&mut table, who(30, 20), "/usr/bin/runc", "/");
    // Something else has named the cgroup; the helper is moved into it and forks there.
    exec(
        &mut table,
        Who {
            cgroup_id: 9,
            ..who(29, 20)
        },
        "/bin/sh",
        CONTAINER,
    );
    let inside = Who {
        cgroup_id: 9,
        ..who(31, 30)
    };
    let helper = fork(&mut table, inside);
    assert!(table.get(helper).unwrap().container.is_some());
    assert!(table.get(helper).unwrap().is_runtime_helper());
    exec(&mut table, inside, "/bin/nginx", CONTAINER);
    assert!(!table.get(helper).unwrap().is_runtime_helper());
}

#[test]
fn a_child_of_a_process_that_left_its_containers_cgroup_is_in_the_container() {
    let mut table = ProcessTable::default();
    let shell = shell_in_container(&mut table);
    let outside = Who {
        cgroup_id: 88,
        ..child_of(shell)
    };
    let key = fork(&mut table, outside);
    assert_eq!(table.get(key).unwrap().membership.evidence, Evidence::Descent);
    exec(&mut table, outside, "/usr/bin/curl", "/system.slice/cron.service");
    let process = table.get(key).unwrap();
    assert_eq!(process.container, table.live(30).unwrap().container);
    assert!(!process.is_runtime_helper());
}
