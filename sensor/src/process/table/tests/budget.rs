//! The budget: what is counted is what is allocated, it is kept to, and who has the most gives first.

use proptest::prelude::*;

use super::super::super::image::Kept;
use super::*;
use crate::allocated::allocated;

const LIMIT: usize = 1024 * 1024;

fn small_table() -> ProcessTable {
    ProcessTable {
        budget: Budget::new(LIMIT),
        // All is kept, however much it is.
        allowances: Allowances::new(u64::MAX),
        environment_variables: vec!["LD_PRELOAD".to_owned()],
        ..ProcessTable::default()
    }
}

/// What a process of an attacker does next.
#[derive(Clone, Debug)]
enum Act {
    Exec(Texts),
    Fork,
    Exit,
}

/// What an exec has, each of a size.
#[derive(Clone, Copy, Debug)]
struct Texts {
    arguments: usize,
    /// Bytes of each argument.
    each: usize,
    environment: usize,
    path: usize,
    groups: usize,
}

fn texts() -> impl Strategy<Value = Texts> {
    let size = |limit: usize| prop_oneof![0..3_usize, 0..limit, Just(limit)];
    (
        size(32 * 1024),
        prop_oneof![Just(0_usize), Just(1), 0..64_usize],
        size(60 * 1024),
        size(4096),
        0..64_usize,
    )
        .prop_map(|(bytes, each, environment, path, groups)| Texts {
            arguments: bytes / (each + 1),
            each,
            environment,
            path,
            groups,
        })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![4 => texts().prop_map(Act::Exec), 3 => Just(Act::Fork), 2 => Just(Act::Exit)]
}

fn exec_with(table: &mut ProcessTable, who: Who, container: &str, texts: Texts) -> ProcessKey {
    let mut exec_fixed = ExecFixed::new_zeroed();
    exec_fixed.process = fixed(who);
    exec_fixed.head.flags = FLAG_ENVIRONMENT_FOLLOWS;
    let path = format!("/{}", "\u{fffd}".repeat(texts.path / 3));
    table.exec(&Exec {
        fixed: exec_fixed,
        executable: path.clone(),
        filename: path.clone(),
        working_directory: path,
        root: String::new(),
        is_in_root: true,
        cgroup: container.to_owned(),
        left_out: PathsLeftOut::default(),
        shortened: None,
        groups: vec![7; texts.groups],
        arguments: [vec![b'x'; texts.each], vec![0]].concat().repeat(texts.arguments),
        arguments_complete: true,
        arguments_gap: None,
        environment: format!("LD_PRELOAD={}\0", "y".repeat(texts.environment)).into_bytes(),
        environment_complete: true,
    })
}

/// A container's cgroup.
fn container(number: usize) -> String {
    CONTAINER.replace("3f2a", &format!("{number:04x}"))
}

/// What one process of a container does, in it and in its children.
fn story(table: &mut ProcessTable, acts: &[(Act, usize)], containers: usize, check: &mut dyn FnMut(&ProcessTable)) {
    let mut live: Vec<Who> = Vec::new();
    for (number, (act, choice)) in acts.iter().enumerate() {
        let fresh = who(1000 + number as u32, 1);
        let chosen = live.get(choice % live.len().max(1)).copied();
        let cgroup = |who: Who| container(who.cgroup_id as usize);
        match (act, chosen) {
            (Act::Fork, Some(parent)) => {
                let child = Who {
                    cgroup_id: parent.cgroup_id,
                    parent_start: parent.start,
                    session: parent.session,
                    ..who(fresh.pid, parent.pid)
                };
                fork(table, child);
                live.push(child);
            }
            (Act::Exec(texts), Some(process)) if choice % 3 > 0 => {
                exec_with(table, process, &cgroup(process), *texts);
            }
            (Act::Exec(texts), _) => {
                let process = Who {
                    cgroup_id: 1 + (choice % containers) as u64,
                    ..fresh
                };
                exec_with(table, process, &cgroup(process), *texts);
                live.push(process);
            }
            (Act::Exit, Some(process)) => {
                exit(table, process);
                live.retain(|other| other.pid != process.pid);
            }
            (Act::Fork | Act::Exit, None) => {}
        }
        table.give_up_surplus();
        check(table);
    }
}

proptest! {
    // Each allocates some megabytes.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn never_more_is_kept_than_the_budget_and_what_is_allocated_is_counted(
        acts in prop::collection::vec((act(), any::<usize>()), 1..200),
        containers in 1..4_usize,
    ) {
        /// Empty maps, and the caches of cgroups, which have bounds of their own.
        const BESIDE: isize = 64 * 1024;
        let before = allocated();
        let mut table = small_table();
        let mut exceeded = 0;
        story(&mut table, &acts, containers, &mut |table| exceeded += usize::from(table.budget.bytes() > LIMIT));
        prop_assert_eq!(exceeded, 0);
        let allocated = allocated() - before;
        let counted = table.budget.bytes().cast_signed();
        prop_assert!(allocated <= counted + BESIDE, "{} allocated, {} counted", allocated, counted);
        prop_assert!(counted <= 2 * allocated, "{} allocated, {} counted", allocated, counted);
        let keys: Vec<ProcessKey> = table.processes.keys().copied().collect();
        for key in keys {
            table.exit(&{
                let mut record = ExitRecord::new_zeroed();
                record.process.pid = key.pid;
                record.process.start_ns = key.start_ticks * TICK;
                record
            });
        }
        table.pass_time(2 * keep::ENDED_AGE_NS);
        for second in 0..10 {
            table.pass_time((2 * keep::ENDED_AGE_NS) + second * 2 * AGE_CHECK_INTERVAL_NS);
        }
        prop_assert_eq!((table.processes.len(), table.budget.bytes()), (0, 0));
    }
}

const LONG: Texts = Texts {
    arguments: 31_000,
    each: 0,
    environment: 0,
    path: 10,
    groups: 0,
};
const SHORT: Texts = Texts {
    arguments: 3,
    each: 5,
    ..LONG
};

/// A process of a container whose pid says nothing of the others.
fn in_container(number: usize, pid: u32) -> Who {
    Who {
        cgroup_id: number as u64,
        ..who(pid, 1)
    }
}

#[test]
fn a_container_that_storms_gives_up_its_own_and_no_others() {
    let mut table = small_table();
    let quiet: Vec<ProcessKey> = (0..20)
        .map(|pid| exec_with(&mut table, in_container(1, 100 + pid), &container(1), SHORT))
        .collect();
    exit(&mut table, in_container(1, 100));
    for pid in 1000..2000 {
        let storming = in_container(2, pid);
        fork(&mut table, storming);
        exec_with(&mut table, storming, &container(2), LONG);
        exit(&mut table, storming);
        table.give_up_surplus();
    }
    for key in quiet {
        assert_eq!(table.get(key).unwrap().image().args().len(), 3);
    }
    assert!(table.counts.ended_texts_given_up > 900);
    assert_eq!(table.counts.arguments_cut + table.counts.live_given_up, 0);
}

#[test]
fn who_storms_with_arguments_has_them_told_short_and_others_do_not() {
    let mut table = ProcessTable::default();
    let mut shortened = |number: usize, pid| {
        let key = exec_with(&mut table, in_container(number, pid), &container(number), LONG);
        let image = table.get(key).unwrap().image();
        assert_eq!(image.arguments.count, 31_000);
        assert_eq!(image.arguments.cut.is_some(), image.shortened.is_some());
        image.shortened
    };
    let storm: Vec<_> = (100..200).map(|pid| shortened(1, pid)).collect();
    let (whole, short) = storm.split_at(storm.iter().position(Option::is_some).unwrap());
    assert!(!whole.is_empty());
    assert!(short.iter().all(|why| *why == Some(Shortened::OverAllowance)));
    assert_eq!(shortened(2, 200), None);
}

#[test]
fn ended_processes_arguments_go_before_live_ones_middles_and_those_before_ended_processes() {
    let mut table = small_table();
    let ended: Vec<ProcessKey> = (100..110)
        .map(|pid| {
            let key = exec_with(&mut table, in_container(1, pid), &container(1), LONG);
            exit(&mut table, in_container(1, pid));
            table.give_up_surplus();
            key
        })
        .collect();
    let given_up = |table: &ProcessTable| {
        let counts = table.counts;
        [
            counts.ended_texts_given_up,
            counts.arguments_cut,
            counts.ended_given_up,
            counts.live_texts_given_up,
        ]
    };
    assert_eq!(given_up(&table), [0; 4]);
    let mut live = Vec::new();
    let mut seen = vec![given_up(&table)];
    for pid in 1000..1400 {
        live.push(exec_with(&mut table, in_container(1, pid), &container(1), LONG));
        table.give_up_surplus();
        seen.push(given_up(&table));
    }
    // Each begins when there is nothing left of what comes before it.
    for (stage, whole) in [(0, 10), (2, 10)] {
        let first_of_next = seen.iter().position(|counts| counts[stage + 1] > 0).unwrap();
        assert_eq!(seen[first_of_next][stage], whole, "{:?}", seen[first_of_next]);
    }
    let first_ended = seen.iter().position(|counts| counts[2] > 0).unwrap();
    assert_eq!(
        seen[first_ended][1], first_ended as u64,
        "every live one but the newest has lost its middle"
    );
    assert!(ended.iter().all(|key| table.get(*key).is_none()));
    assert!(
        live.iter()
            .all(|key| table.get(*key).unwrap().image().arguments.count == 31_000)
    );
    assert_eq!(table.counts.live_given_up, 0);
}

#[test]
fn past_everything_else_live_processes_are_forgotten_and_their_exits_still_come() {
    let mut table = small_table();
    let live: Vec<Who> = (1000..5000).map(|pid| in_container(1, pid)).collect();
    for process in &live {
        exec_with(&mut table, *process, &container(1), SHORT);
        table.give_up_surplus();
    }
    assert!(table.counts.live_given_up > 0);
    assert!(table.budget.bytes() <= LIMIT);
    for process in &live {
        assert!(exit(&mut table, *process).is_some());
        table.give_up_surplus();
    }
    assert!(table.live.is_empty());
}

#[test]
fn an_exec_of_an_ended_process_does_not_bring_it_back() {
    let mut table = ProcessTable::default();
    let shell = shell_in_container(&mut table);
    let key = exit(&mut table, shell).unwrap();
    assert_eq!(exec_with(&mut table, shell, CONTAINER, SHORT), key);
    assert!(table.live(shell.pid).is_none());
    assert_eq!(
        table.get(key).unwrap().image().args().len(),
        3,
        "the late event has its arguments"
    );
    assert_eq!(exit(&mut table, shell), None);
}

#[test]
fn who_has_ended_unseen_is_no_longer_live_and_keeps_nobody() {
    let mut table = ProcessTable::default();
    let shell = shell_in_container(&mut table);
    let child = fork(&mut table, child_of(shell));
    let parent = table.get(child).unwrap().parent;
    exit(&mut table, shell);
    table.end_missed(child);
    table.end_missed(child);
    assert!(table.live(child.pid).is_none());
    assert_eq!(table.counts.exits_missed, 1);
    table.pass_time(2 * ENDED_AGE_NS);
    assert!(table.get(parent).is_none() && table.get(child).is_none());
}

#[test]
fn what_is_shared_is_given_up_for_all_and_counted_once() {
    let mut table = small_table();
    let shell = in_container(1, 100);
    exec_with(&mut table, shell, &container(1), LONG);
    let one = table.budget.bytes();
    let forks: Vec<ProcessKey> = (200..210)
        .map(|pid| {
            fork(
                &mut table,
                Who {
                    parent_start: shell.start,
                    cgroup_id: 1,
                    ..who(pid, 100)
                },
            )
        })
        .collect();
    assert!(table.budget.bytes() - one < 31_000);
    table.get(forks[0]).unwrap().image.reduce(Kept::Ends);
    assert!(table.budget.bytes() < one);
    assert!(table.get(forks[9]).unwrap().image().args().len() < 31_000);
}
