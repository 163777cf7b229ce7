//! Events whose times jump.

use super::*;

#[test]
fn one_event_from_the_future_breaks_no_sequence() {
    for with in ["", "with maxspan=1m"] {
        let query =
            format!("sequence {with} [process where process.name : \"a*\"] [process where process.name == \"b\"]");
        let mut run = Run::new(&query);
        run.show(0, process("a1", "p"));
        run.show(9_000_000, process("a2", "p"));
        assert_eq!(run.show(10, process("b", "p")), [["a1"]], "{with}");
        assert_eq!(run.show(9_000_001, process("b", "p")), [["a2"]], "{with}");
        run.show(9_000_010, process("a3", "p"));
        run.show(20, process("a4", "p"));
        assert_eq!(run.show(30, process("b", "p")), [["a4"]], "{with}");
    }
}

#[test]
fn events_that_all_are_later_leave_nothing_of_those_before() {
    let mut run =
        Run::new(r#"sequence with maxspan=1m [process where process.name : "a*"] [process where process.name == "b"]"#);
    run.show(0, process("a1", "p"));
    run.show(9_000, process("a2", "p"));
    assert_eq!(run.show(9_001, process("b", "p")), [["a2"]]);
    assert!(run.show(9_002, process("b", "p")).is_empty());
    assert!(run.show(1, process("b", "p")).is_empty(), "the one before was replaced");
}

#[test]
fn an_event_older_than_a_partial_sequence_does_not_continue_it() {
    let mut run = Run::new(r#"sequence [process where process.name == "a"] [process where process.name == "b"]"#);
    run.show(10, process("a", "p"));
    assert!(run.show(9, process("b", "p")).is_empty());
    assert_eq!(
        run.show(10, process("b", "p")),
        [["a"]],
        "at the same time the order of arrival counts"
    );
}
