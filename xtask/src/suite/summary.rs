//! Reads libtest's output and counts: what passed, what failed, what was skipped and why.

use std::fmt;
use std::process::ExitCode;

/// Whether a line is worth showing while the tests run: the output of tests that pass is not.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Visibility {
    Visible,
    Hidden,
}

#[derive(Default, Debug)]
pub(crate) struct Summary {
    passed: usize,
    failed: Vec<String>,
    /// `name: reason`
    skipped: Vec<String>,
    in_output_of_passed: bool,
}

impl Summary {
    /// Counts a check that is not a test.
    pub(crate) fn check(&mut self, name: &str, succeeded: bool) {
        if succeeded {
            self.passed += 1;
        } else {
            self.failed.push(name.to_owned());
        }
    }

    /// Counts a check that could not even be made, though it should have been.
    pub(crate) fn fail(&mut self, name: &str, reason: &str) {
        self.failed.push(format!("{name}: {reason}"));
    }

    /// Counts a check that cannot be made here.
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        // As a skipped test does, which has returned.
        self.passed += 1;
        self.skipped.push(format!("{name}: {reason}"));
    }

    /// Takes the next line of a test binary's output.
    pub(crate) fn read_test_output(&mut self, line: &str) -> Visibility {
        if let Some(skipped) = line.strip_prefix("SKIPPED ") {
            self.skipped.push(skipped.to_owned());
            return Visibility::Visible;
        }
        match line {
            "successes:" => self.in_output_of_passed = true,
            "failures:" => self.in_output_of_passed = false,
            _ if line.starts_with("test result: ") => self.in_output_of_passed = false,
            _ => self.count_result(line),
        }
        if self.in_output_of_passed {
            Visibility::Hidden
        } else {
            Visibility::Visible
        }
    }

    fn count_result(&mut self, line: &str) {
        if self.in_output_of_passed {
            return;
        }
        let Some(test) = line.strip_prefix("test ") else { return };
        if test.ends_with(" ... ok") {
            self.passed += 1;
        } else if let Some(name) = test.strip_suffix(" ... FAILED") {
            self.failed.push(name.to_owned());
        } else if let Some(name) = test.strip_suffix(" ... ignored") {
            self.fail(name, "ignored, which no test may be");
        }
    }

    /// Makes a skipped test a failed one, unless it is on the list.
    pub(crate) fn fail_skipped_except(&mut self, allowed: &[&str]) {
        let is_allowed = |skipped: &String| {
            skipped
                .split_once(": ")
                .is_some_and(|(name, _)| allowed.contains(&name))
        };
        for skipped in self.skipped.iter().filter(|skipped| !is_allowed(skipped)) {
            self.failed.push(format!("{skipped} (a skipped test fails here)"));
        }
    }

    /// Takes in what another lane of tests found.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }

    pub(crate) fn failures(&self) -> usize {
        self.failed.len()
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.failed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.failed {
            writeln!(formatter, "FAILED {name}")?;
        }
        for skipped in &self.skipped {
            writeln!(formatter, "SKIPPED {skipped}")?;
        }
        // A skipped test has returned, which libtest takes for passed.
        let passed = self.passed.saturating_sub(self.skipped.len());
        writeln!(
            formatter,
            "{passed} passed, {} failed, {} skipped",
            self.failed.len(),
            self.skipped.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Summary, Visibility};

    fn read(lines: &str) -> Summary {
        let mut summary = Summary::default();
        for line in lines.lines() {
            summary.read_test_output(line);
        }
        summary
    }

    const OUTPUT: &str = "\
running 4 tests
test one ... ok
test two::three ... ok
test four ... FAILED
test five ... ok

successes:

---- five stdout ----
SKIPPED five: no engine
test nested ... FAILED

successes:
    one

failures:

---- four stdout ----
assertion failed

failures:
    four

test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn skipped_tests_are_named_and_not_counted_as_passed() {
        assert_eq!(
            read(OUTPUT).to_string(),
            "FAILED four\nSKIPPED five: no engine\n2 passed, 1 failed, 1 skipped\n"
        );
    }

    #[test]
    fn an_ignored_test_fails() {
        assert!(read("test one ... ignored").failures() == 1);
    }

    #[test]
    fn a_skipped_test_fails_unless_it_is_on_the_list() {
        let skipped = "test one ... ok\nsuccesses:\nSKIPPED one: no engine\ntest result: ok.";
        let mut allowed = read(skipped);
        allowed.fail_skipped_except(&["one"]);
        assert_eq!(allowed.failures(), 0);
        let mut refused = read(skipped);
        refused.fail_skipped_except(&["other"]);
        assert_eq!(refused.failures(), 1);
        assert!(refused.to_string().ends_with("0 passed, 1 failed, 1 skipped\n"));
    }

    #[test]
    fn output_of_passed_tests_is_not_shown() {
        let mut summary = Summary::default();
        let visible: Vec<&str> = OUTPUT
            .lines()
            .filter(|line| summary.read_test_output(line) == Visibility::Visible)
            .collect();
        assert!(visible.contains(&"assertion failed"));
        assert!(visible.contains(&"SKIPPED five: no engine"));
        assert!(!visible.contains(&"---- five stdout ----"));
    }
}
