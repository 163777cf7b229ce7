//! `xtask test`: every check and every test, and a summary that hides nothing.
//!
//! A test that cannot run here prints `SKIPPED name: reason` and returns; libtest counts it as passed, so those lines
//! are collected from the tests' own output (`--show-output`) and taken out of that count again.
//!
//! The end-to-end tests mostly wait, one after the other, and an emulated kernel takes one processor: both run beside
//! the checks and the other tests. After those, what is released is built and tried, in a Kubernetes too.

mod machine;

use std::process::ExitCode;
use std::thread;

use anyhow::{Result, anyhow};

use crate::architecture::Architecture;
use crate::check;
use crate::cluster;
use crate::command::{self, build_sensor, target_folder};
use crate::counts::Record;
use crate::dist;
use crate::instructions;
use crate::kernels::{self, Kernel, Layouts, Outcome};
use crate::setup;
use crate::suite::{self, Summary, TestBinary};
use machine::Machine;

/// Tests that may be skipped in CI: they need Elastic's rule files, whose licence keeps them out of this repository, or
/// kernels, libraries or Kubernetes' source from Debian's archive, or the compiler that the record is of.
const MAY_BE_SKIPPED_IN_CI: [&str; 11] = [
    "elastic_rules_find_what_they_are_about_and_not_what_is_nearly_that",
    "every_rule_is_ok_and_warns_of_what_no_source_produces",
    "the_package_accepts_elastic_queries_as_we_do",
    "the_reference_rules_fire_on_the_same_events_as_ours",
    "the_tool_installation_rule_fires_on_interactive_installs_in_containers_only",
    "the_unusual_process_rule_fires_on_the_first_event_of_each_name",
    "kernel 5.10",
    "kernel newest",
    RELEASE,
    CLUSTER,
    instructions::NAME,
];

/// In GiB: what all builds take, and engines while tests run.
const ROOM_FROM_NOTHING: u64 = 10;

/// With what an earlier run built.
const ROOM_ONCE_BUILT: u64 = 3;

/// In the summary, what is released.
const RELEASE: &str = "release";

/// The same in a Kubernetes, as its manifests deploy it.
const CLUSTER: &str = "cluster";

pub(crate) fn run_everything() -> Result<ExitCode> {
    let has_been_built = target_folder().join("debug").exists();
    command::require_room(
        "running all tests",
        if has_been_built {
            ROOM_ONCE_BUILT
        } else {
            ROOM_FROM_NOTHING
        },
    )?;
    let before = Machine::snapshot();
    command::run(&mut build_sensor())?;
    // Before anything else installs packages.
    let for_cluster = setup::for_cluster();
    let (in_cluster, tests): (Vec<_>, Vec<_>) = suite::build()?.into_iter().partition(TestBinary::needs_cluster);
    let (end_to_end, others): (Vec<_>, Vec<_>) = tests.into_iter().partition(TestBinary::is_end_to_end);
    let (of_release, others): (Vec<_>, Vec<_>) = others.into_iter().partition(TestBinary::needs_release);
    let lanes: [Box<dyn FnOnce() -> Result<Summary> + Send>; 3] = [
        Box::new(move || {
            // Lets everything else go first.
            let programs = thread::spawn(|| for_cluster.and_then(|()| cluster::programs()));
            let mut summary = suite::run(&others, &[])?;
            check::run_steps(&check::DOC_TESTS, &mut summary)?;
            check::run_steps(&check::LINTS, &mut summary)?;
            instructions::check(&mut summary);
            let released = build_release(&mut summary);
            if let Some(folder) = &released {
                summary.add(suite::run(&of_release, &[(dist::RELEASED, folder)])?);
            }
            let programs = programs
                .join()
                .map_err(|_| anyhow!("the build of Kubernetes panicked"))?;
            match (programs, released) {
                (Ok(programs), Some(folder)) => summary.add(suite::run(
                    &in_cluster,
                    &[
                        (cluster::PROGRAMS, &programs.to_string_lossy()),
                        (dist::RELEASED, &folder),
                    ],
                )?),
                (Err(error), _) => summary.skip(CLUSTER, &format!("{error:#}")),
                (Ok(_), None) => summary.skip(CLUSTER, "nothing is released that could run in it"),
            }
            Ok(summary)
        }),
        Box::new(move || suite::run(&end_to_end, &[])),
        Box::new(check_kernels),
    ];
    let mut summary = thread::scope(|scope| -> Result<Summary> {
        let lanes = lanes.map(|lane| scope.spawn(lane));
        let mut summary = Summary::default();
        for lane in lanes {
            summary.add(lane.join().map_err(|_| anyhow!("a lane of tests panicked"))??);
        }
        Ok(summary)
    })?;

    let differences = before.differences();
    for difference in &differences {
        println!("{difference}");
    }
    summary.check("the machine is as it was", differences.is_empty());

    if std::env::var("CI").is_ok_and(|value| value == "true") {
        summary.fail_skipped_except(&MAY_BE_SKIPPED_IN_CI);
    }
    print!("{summary}");
    Ok(summary.exit_code())
}

/// Builds what is released for this processor, and gives the folder. The binary is built once: `./dev dist --twice`
/// compares two.
fn build_release(summary: &mut Summary) -> Option<String> {
    let here = [Architecture::of_this_machine()];
    if let Err(error) = dist::fetch(&here) {
        summary.skip(RELEASE, &format!("{error:#}"));
        return None;
    }
    if let Err(error) = dist::run(None, &here, dist::Times::Once) {
        summary.fail(RELEASE, &format!("{error:#}"));
        return None;
    }
    summary.check(RELEASE, true);
    Some(dist::folder().to_string_lossy().into_owned())
}

/// The oldest, the newest and the running one; `./dev kernels` has those between, and each layout of cgroups on all.
fn check_kernels() -> Result<Summary> {
    let kernels = [Kernel::V5_10, Kernel::Newest, Kernel::Native];
    let mut summary = Summary::default();
    for report in kernels::run(&kernels, Layouts::EachOnTheOldest, Record::No)? {
        match report.outcome {
            Outcome::Passed => summary.check(&report.name, true),
            Outcome::Failed => summary.check(&report.name, false),
            Outcome::Skipped(reason) => summary.skip(&report.name, &reason),
        }
    }
    Ok(summary)
}
