//! What a hostile event costs: no more than so many steps for each of its bytes and each rule, whatever they are.

use super::*;
use crate::limits::MAX_FUNCTION_BYTES;
use crate::value::steps;

/// Tests that look at values in every way there is, of which most nearly match.
const TESTS: [&str; 14] = [
    "process.args like \"*a*a*a*a*b\"",
    "process.args like~ \"*a?a*?a*b\"",
    "process.args like~ (\"*aaab*\", \"a*c\", \"*/c\", \"*aa*ab*c*\", \"*??????????????b*c\")",
    "process.args regex \"(a*)*b\"",
    "process.args regex~ \".*a.{1,20}c\"",
    "process.args in~ (\"aab\", \"ab\", \"b\", \"c\")",
    "stringContains~(process.args, \"aaaaaaab\")",
    "endsWith(process.args, \"ab\") and process.args : \"*aaaaab?*\"",
    "between~(process.args, \"a\", \"b\") == \"c\"",
    "indexOf(process.args, \"ab\", 3) == 0",
    "substring(process.args, -3) == \"aab\"",
    "length(concat(process.args, process.args)) == 3",
    "cidrMatch(process.args, \"10.0.0.0/8\", \"fe80::/10\", \"192.168.0.0/16\")",
    "number(process.args) == 7",
];
/// Tests of the combinations of two fields.
const OF_TWO: [&str; 3] = [
    "stringContains(process.command_line, process.args)",
    "indexOf~(process.command_line, process.args) == 123456",
    "endsWith~(process.args, process.command_line)",
];

fn run(tests: &[&str]) -> Run {
    let rules = tests.iter().enumerate().map(|(number, test)| {
        parse(&format!(
            "[rule]\nrule_id = \"{number}\"\nname = \"a\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n\
             type = \"eql\"\nquery = '''any where {test}'''\n"
        ))
        .expect("a sound rule")
    });
    let rules = Rules::compile(&Schema::ecs(), rules.collect());
    Run {
        record: Record::new(),
        engine: Engine::new(rules, EngineOptions::default()),
    }
}

struct Run {
    record: Record,
    engine: Engine,
}

impl Run {
    fn steps(&mut self, arguments: &[String], command_line: &str) -> u64 {
        self.record.clear();
        self.record.text(fields::PROCESS_COMMAND_LINE, command_line);
        for argument in arguments {
            self.record.text(fields::PROCESS_ARGS, argument);
        }
        steps::of(|| {
            self.engine
                .evaluate(&self.record, &mut MemoryHistory::default(), &mut |_| {});
        })
    }
}

/// Arguments of so many bytes together.
fn hostile(bytes: usize) -> Vec<Vec<String>> {
    let numbered = |number: usize| format!("{}{}", ["a", "b", "c"][number % 3], number % 10);
    vec![
        vec!["a".repeat(bytes)],
        vec!["a".repeat(bytes - 1) + "b"],
        vec!["ab".repeat(bytes / 2)],
        vec!["/".repeat(bytes)],
        vec!["\u{e9}".repeat(bytes / 2)],
        vec!["a".to_owned(); bytes],
        vec!["ab".to_owned(); bytes / 2],
        (0..bytes / 2).map(numbered).collect(),
        vec!["a".repeat(bytes / 100); 100],
        vec!["1".repeat(bytes)],
    ]
}

#[test]
fn an_event_costs_so_many_steps_for_each_byte_and_no_more() {
    const STEPS: u64 = 60 * TESTS.len() as u64;
    let mut run = run(&TESTS);
    for bytes in [1_000, 31_000, 62_000] {
        for (shape, arguments) in hostile(bytes).into_iter().enumerate() {
            let steps = run.steps(&arguments, "");
            assert!(
                steps <= STEPS * bytes as u64,
                "{steps} for {bytes} bytes of shape {shape}"
            );
        }
    }
}

#[test]
fn a_function_of_two_fields_looks_at_so_many_bytes_and_no_more() {
    let mut run = run(&OF_TWO);
    for bytes in [31_000, 62_000] {
        for (shape, arguments) in hostile(bytes).into_iter().enumerate() {
            let steps = run.steps(&arguments, &("a".repeat(bytes) + "b"));
            let most = OF_TWO.len() * (MAX_FUNCTION_BYTES + 10 * bytes);
            assert!(steps <= most as u64, "{steps} for {bytes} bytes of shape {shape}");
        }
    }
    assert!(run.engine.counters().function_combinations_cut > 0);
}
