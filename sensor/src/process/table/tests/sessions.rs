//! Who is interactive: what is at its terminal, and what is in the session of one who is, or was.

use super::*;

/// Runs a program with its terminal on these descriptors, and files on the others; whether it is interactive, and whether
/// it is on its terminal.
fn run(table: &mut ProcessTable, who: Who, on_terminal: [bool; 3]) -> (bool, bool) {
    let mut exec = exec_of(who, "/bin/x", CONTAINER);
    for (descriptor, is_terminal) in exec.fixed.descriptors.iter_mut().zip(on_terminal) {
        if !is_terminal {
            *descriptor = Descriptor {
                mode: 0o100_644,
                device: 0,
            };
        }
    }
    let key = table.exec(&exec);
    table.get(key).map_or((false, false), |process| {
        (process.is_interactive(), process.on_terminal)
    })
}

const HERE: [bool; 3] = [true; 3];
const ELSEWHERE: [bool; 3] = [false; 3];

#[test]
fn a_redirection_hides_nobody_in_a_session_that_was_once_a_persons() {
    let mut table = ProcessTable::default();
    let shell = shell_in_container(&mut table);
    let child = child_of(shell);
    fork(&mut table, child);
    assert_eq!(run(&mut table, child, ELSEWHERE), (true, false));
    assert_eq!(run(&mut table, child, [true, true, false]), (true, false));
    assert_eq!(run(&mut table, child, HERE), (true, true));
    // As by `exec bash 2>/dev/null`.
    assert_eq!(run(&mut table, shell, [true, true, false]), (true, false));
    assert_eq!(run(&mut table, child, ELSEWHERE), (true, false));
}

#[test]
fn who_leaves_the_session_or_its_terminal_is_as_interactive_as_its_own_descriptors_are() {
    let mut table = ProcessTable::default();
    let shell = shell_in_container(&mut table);
    let child = child_of(shell);
    fork(&mut table, child);
    for other in [
        Who {
            session: child.pid,
            terminal: 0,
            ..child
        },
        Who {
            session: child.pid,
            terminal: PTS + 1,
            ..child
        },
    ] {
        assert_eq!(run(&mut table, other, ELSEWHERE), (false, false));
    }
    assert_eq!(
        run(
            &mut table,
            Who {
                session: child.pid,
                terminal: PTS + 1,
                ..child
            },
            HERE
        ),
        (true, true)
    );
}

#[test]
fn a_session_that_only_has_a_terminal_is_nobodys() {
    let mut table = ProcessTable::default();
    let leader = shell_in_container(&mut table);
    let mut other = ProcessTable::default();
    fork(&mut other, leader);
    assert_eq!(run(&mut other, leader, ELSEWHERE), (false, false));
    let child = child_of(leader);
    fork(&mut other, child);
    assert_eq!(run(&mut other, child, ELSEWHERE), (false, false));
    // What is at the terminal is interactive itself, and makes no others so.
    assert_eq!(run(&mut other, child, HERE), (true, true));
    assert_eq!(run(&mut other, child, ELSEWHERE), (false, false));
}
