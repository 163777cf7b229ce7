//! Instructions of an event: those between entering and leaving [`show_counted`], as valgrind counts them. It runs every
//! program on a processor of its own making, so the counts hold for all machines with the same compiler.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::sets::RuleSet;
use super::{Bench, KINDS};

/// Of each rule set and kind of event.
pub(super) fn print() -> Result<()> {
    for set in RuleSet::ALL.into_iter().filter(|set| set.is_there()) {
        for (kind, instructions) in KINDS.iter().zip(instructions(set)?) {
            if let Some(instructions) = instructions {
                println!("{} {kind} {instructions}", set.name());
            }
        }
    }
    Ok(())
}

/// Shows each kind of event once more; the first time is over by then.
pub(super) fn count(set: RuleSet) -> Result<()> {
    let mut bench = Bench::new(set)?;
    for kind in 0..KINDS.len() {
        show_counted(&mut bench, kind);
        println!("{}", bench.events[kind].len());
    }
    Ok(())
}

/// Where valgrind counts. It knows both by their names, and looks at no function for two reasons.
#[inline(never)]
fn show_counted(bench: &mut Bench, kind: usize) {
    show_and_dump(bench, black_box(kind));
    black_box(bench);
}

/// When it is left, valgrind writes down what it counted, and begins anew.
#[inline(never)]
fn show_and_dump(bench: &mut Bench, kind: usize) {
    bench.show_all(kind);
    black_box(bench);
}

/// For each kind; `None` if there is no such event.
fn instructions(set: RuleSet) -> Result<Vec<Option<u64>>> {
    let folder = tempfile::tempdir()?;
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--toggle-collect=*show_counted*",
            "--dump-after=*show_and_dump*",
        ])
        .arg(format!(
            "--callgrind-out-file={}",
            folder.path().join("counts").display()
        ))
        .arg(std::env::current_exe()?)
        .args(["rules", "count", &set.name()])
        .output()
        .context("could not start `valgrind`")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind failed: {error}");
    let events = String::from_utf8(output.stdout)?;
    let mut counts = Vec::new();
    for (events, part) in events.lines().zip(1..) {
        let total = total(&folder.path().join(format!("counts.{part}")))?;
        counts.push(total.checked_div(events.parse()?));
    }
    ensure!(counts.len() == KINDS.len(), "valgrind counted nothing: {error}");
    Ok(counts)
}

/// The sum of all counts in a file of callgrind's.
fn total(file: &Path) -> Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("could not read `{}`", file.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.with_context(|| format!("`{}` has no total", file.display()))?;
    Ok(total.trim().parse()?)
}
