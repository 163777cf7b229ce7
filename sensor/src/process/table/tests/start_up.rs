//! Starting in the middle of events: what `/proc` shows and what events report meanwhile add up to the same table.

use proptest::prelude::*;

use super::*;

/// What happens to a process of a story, which is chosen among the live ones by a number.
#[derive(Clone, Copy, Debug)]
enum Step {
    Fork,
    Exec,
    Exit,
}

/// A story from its first process on: each step with the process that it happens to. Pids are used again at once, and
/// only who has no children ends, because others' children get another parent.
fn story(choices: &[(Step, usize)]) -> Vec<(Step, Who)> {
    let first = Who { start: 0, ..who(1, 0) };
    let (mut live, mut story) = (vec![first], vec![(Step::Exec, first)]);
    for (number, (step, choice)) in choices.iter().enumerate() {
        let chosen = live[choice % live.len()];
        match step {
            Step::Fork => {
                let pid = (2..)
                    .find(|pid| live.iter().all(|process| process.pid != *pid))
                    .unwrap_or_default();
                let child = Who {
                    start: (number as u64 + 1) * TICK,
                    session: 1,
                    parent_start: chosen.start,
                    ..who(pid, chosen.pid)
                };
                live.push(child);
                story.push((Step::Fork, child));
            }
            Step::Exec => story.push((Step::Exec, chosen)),
            Step::Exit if chosen.pid != 1 && live.iter().all(|process| process.parent != chosen.pid) => {
                live.retain(|process| process.pid != chosen.pid);
                story.push((Step::Exit, chosen));
            }
            Step::Exit => {}
        }
    }
    story
}

fn apply(table: &mut ProcessTable, number: usize, (step, who): (Step, Who)) {
    match step {
        Step::Fork => drop(fork(table, who)),
        Step::Exec => drop(exec(table, who, &format!("/bin/program-{number}"), CONTAINER)),
        Step::Exit => drop(exit(table, who)),
    }
}

/// What is compared of a process.
#[derive(Debug, PartialEq)]
struct Known {
    key: ProcessKey,
    parent: ProcessKey,
    executable: String,
    entry: Option<Entry>,
    session_leader: Option<ProcessKey>,
    is_in_container: bool,
}

/// All live processes, in order.
fn live_ones(table: &ProcessTable) -> Vec<Known> {
    let known = |process: &Process| Known {
        key: process.key,
        parent: process.parent,
        executable: process.image().executable.to_string(),
        entry: process.entry,
        session_leader: process.session_leader,
        is_in_container: process.container.is_some(),
    };
    let mut live: Vec<Known> = table.live_processes().map(known).collect();
    live.sort_by_key(|known| known.key);
    live
}

proptest! {
    /// The hooks are attached, then `/proc` is read while events come, then these are taken in.
    #[test]
    fn a_start_in_the_middle_leaves_no_gap(
        choices in prop::collection::vec(
            (prop::sample::select(vec![Step::Fork, Step::Fork, Step::Exec, Step::Exit]), any::<usize>()), 1..60),
        attached in any::<prop::sample::Index>(),
        scanned in any::<prop::sample::Index>(),
    ) {
        let story = story(&choices);
        let attached = attached.index(story.len() + 1);
        let scanned = attached + scanned.index(story.len() + 1 - attached);
        let (mut whole, mut started) = (ProcessTable::default(), ProcessTable::default());
        for (number, step) in story[..scanned].iter().enumerate() {
            apply(&mut whole, number, *step);
        }
        let mut scan: Vec<Process> = whole.live_processes().cloned().collect();
        scan.sort_by_key(|process| (process.key.start_ticks, process.key.pid));
        for process in scan {
            let session = process.session_leader.map_or(0, |leader| leader.pid);
            started.insert_found(process, session, 0, CONTAINER, None);
        }
        for (number, step) in story.iter().enumerate().skip(attached) {
            if number >= scanned {
                apply(&mut whole, number, *step);
            }
            apply(&mut started, number, *step);
        }
        prop_assert_eq!(live_ones(&started), live_ones(&whole));
    }
}
