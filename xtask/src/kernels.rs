//! `xtask kernels`: the real sensor on real kernels, each booted with each layout of cgroups.
//!
//! packages -> initramfs -> boot -> checks -> table. The virtual machine only collects what the sensor writes; it is
//! judged here. What cannot be had is skipped with its reason, and never counted as passed.

mod boot;
mod checks;
mod initramfs;
mod packages;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Error, Result};
use clap::ValueEnum;

use crate::command::{self, target_folder};
use crate::{build_sensor, setup};
use checks::{CHECKS, Evidence};
use packages::{Image, Source};

/// Kernels of Debian's cloud flavour, which boot quickly.
#[derive(Copy, Clone, PartialEq, Eq, ValueEnum)]
pub enum Kernel {
    /// The oldest that is supported
    #[value(name = "5.10")]
    V5_10,
    #[value(name = "6.1")]
    V6_1,
    #[value(name = "6.12")]
    V6_12,
    /// The newest in Debian, now 7.2
    Newest,
}

/// How cgroups are mounted; what the virtual machine makes of it is in `guest/init.sh`.
const LAYOUTS: [&str; 3] = ["v2", "hybrid", "v1"];

/// What came of one kernel.
pub struct Report {
    pub name: String,
    pub outcome: Outcome,
}

pub enum Outcome {
    Passed,
    Failed,
    Skipped(String),
}

/// One boot: what each check found, in the order of [`CHECKS`].
struct Column {
    layout: &'static str,
    results: Vec<Result<()>>,
    figures: Vec<(String, String)>,
}

/// Checks the sensor on each of the kernels (on all, if none is named) and prints a table of each.
pub fn run(kernels: &[Kernel]) -> Result<Vec<Report>> {
    let kernels = match kernels {
        [] => Kernel::value_variants(),
        named => named,
    };
    if let Err(error) = setup::for_kernels() {
        let skip = |kernel: &Kernel| Report::skipped(Source::of(*kernel).name, &error);
        return Ok(kernels.iter().map(skip).collect());
    }
    command::run(&mut build_sensor())?;
    let folder = target_folder().join("kernels");
    fs::create_dir_all(&folder).with_context(|| format!("could not create `{}`", folder.display()))?;
    let initramfs = initramfs::build(&folder, &target_folder().join("release/tidewaiter"))?;
    let report = |kernel: &Kernel| {
        let source = Source::of(*kernel);
        let folder = folder.join(source.name);
        match packages::fetch(&source, &folder) {
            Ok(image) => check(&image, &initramfs, &folder),
            Err(error) => Report::skipped(source.name, &error),
        }
    };
    Ok(kernels.iter().map(report).collect())
}

impl Report {
    fn skipped(name: &str, error: &Error) -> Self {
        let report = Report {
            name: format!("kernel {name}"),
            outcome: Outcome::Skipped(format!("what it needs cannot be had: {error:#}")),
        };
        println!("SKIPPED {}: what it needs cannot be had: {error:#}\n", report.name);
        report
    }
}

fn check(image: &Image, initramfs: &Path, folder: &Path) -> Report {
    let columns = LAYOUTS.map(|layout| {
        eprintln!("xtask: kernel {}, cgroups {layout}", image.release);
        let evidence = boot::boot(&image.file, initramfs, layout, &folder.join(layout))
            .and_then(|results| Evidence::read(&results));
        column(layout, evidence)
    });
    print_table(&image.release, &columns);
    let failed = columns.iter().flat_map(|column| &column.results).any(Result::is_err);
    Report {
        name: format!("kernel {}", image.release),
        outcome: if failed { Outcome::Failed } else { Outcome::Passed },
    }
}

fn column(layout: &'static str, evidence: Result<Evidence>) -> Column {
    match evidence {
        Ok(evidence) => Column {
            layout,
            results: CHECKS.iter().map(|(_, check)| check(&evidence)).collect(),
            figures: evidence.figures(),
        },
        // Without evidence nothing is as it should be; the reason is told once.
        Err(error) => Column {
            layout,
            results: vec![Err(error)],
            figures: Vec::new(),
        },
    }
}

/// A row for each check and figure, a column for each layout; then why checks failed.
fn print_table(release: &str, columns: &[Column]) {
    let row = |name: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>10}")).collect();
        println!("{name:<52}{cells}");
    };
    row(
        &format!("kernel {release}"),
        columns.iter().map(|column| column.layout.to_owned()).collect(),
    );
    for (index, (name, _)) in CHECKS.iter().enumerate() {
        let cell = |column: &Column| match column.results.get(index) {
            Some(Ok(())) => "ok".to_owned(),
            _ => "FAILED".to_owned(),
        };
        row(name, columns.iter().map(cell).collect());
    }
    let figures = columns.iter().map(|column| &column.figures);
    for (name, _) in figures
        .clone()
        .max_by_key(|figures| figures.len())
        .into_iter()
        .flatten()
    {
        let cell = |figures: &Vec<(String, String)>| {
            let figure = figures.iter().find(|(other, _)| other == name);
            figure.map_or("-".to_owned(), |(_, value)| value.clone())
        };
        row(name, figures.clone().map(cell).collect());
    }
    for column in columns {
        for (index, result) in column.results.iter().enumerate() {
            if let Err(error) = result {
                let name = match column.results.len() {
                    1 => "every check",
                    _ => CHECKS[index].0,
                };
                println!("FAILED {release}, cgroups {}: {name}: {error:#}", column.layout);
            }
        }
    }
    println!();
}
