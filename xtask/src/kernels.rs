//! `xtask kernels`: the real sensor on real kernels, each booted with each layout of cgroups, and on the running one.
//!
//! packages -> initramfs -> boot -> checks -> table. The virtual machine only collects what the sensor writes; it is
//! judged here. What cannot be had is skipped with its reason, and never counted as passed. On kernels of this machine's
//! processor runs what cargo builds for it, on others' what is released for them.

pub(crate) mod boot;
mod checks;
mod initramfs;
mod native;
mod packages;
mod programs;
mod sabotages;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result};
use clap::ValueEnum;

use crate::architecture::{AARCH64, Architecture, X86_64};
use crate::command::{self, build_sensor, target_folder};
use crate::counts::{Baseline, Counts, Record};
use crate::{dist, setup};
use boot::Boot;
use checks::{CHECKS, Evidence, NamedCheck};
use initramfs::FileSystem;
use packages::{Image, Source};
use programs::Programs;
use sabotages::SABOTAGES;

/// Kernels of Debian's cloud flavour, which boot quickly.
#[derive(Copy, Clone, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kernel {
    /// The oldest that is supported
    #[value(name = "5.10")]
    V5_10,
    #[value(name = "6.1")]
    V6_1,
    #[value(name = "6.12")]
    V6_12,
    /// The newest in Debian, now 7.2
    Newest,
    #[value(name = "arm64-5.10")]
    Arm64V5_10,
    #[value(name = "arm64-6.1")]
    Arm64V6_1,
    #[value(name = "arm64-newest")]
    Arm64Newest,
    /// The one that runs here, with cgroups as they are
    Native,
}

/// How many instructions the verifier looks at in each program, by kernel. A program near the verifier's limit fails on the
/// next kernel, so growth is to be noticed.
const VERIFIED: Baseline = Baseline {
    file: "xtask/src/kernels/verified.txt",
    heading: "# kernel, program, instructions that its verifier looked at: `cargo xtask kernels --record`",
    growth: 50,
};

/// How cgroups are mounted; what the virtual machine makes of it is in `guest/init.sh`.
const LAYOUTS: [&str; 3] = ["v2", "hybrid", "v1"];

/// With which of them a kernel is booted.
#[derive(Copy, Clone)]
pub(crate) enum Layouts {
    Each,
    /// The oldest with each, and others with what hosts have now: each boot takes minutes of a processor.
    EachOnTheOldest,
}

/// On which kernel the sensor is sabotaged too: there, what the kernel forbids takes effect while programs run.
const SABOTAGED: Kernel = Kernel::V5_10;

/// What came of one kernel.
pub(crate) struct Report {
    pub name: String,
    pub outcome: Outcome,
}

pub(crate) enum Outcome {
    Passed,
    Failed,
    Skipped(String),
}

/// One boot: what each check found, in the order of the checks.
struct Column {
    layout: &'static str,
    results: Vec<Result<()>>,
    load_ms: String,
    /// Instructions of each program that the verifier looked at.
    verified: Vec<(String, u64)>,
}

/// Checks the sensor on each of the kernels (on all, if none is named) and prints a table of each.
pub(crate) fn run(kernels: &[Kernel], layouts: Layouts, record: Record) -> Result<Vec<Report>> {
    let kernels = match kernels {
        [] => Kernel::value_variants(),
        named => named,
    };
    let mut measured = Counts::default();
    let mut reports = Vec::new();
    for architecture in Architecture::ALL {
        let kernels: Vec<Kernel> = kernels
            .iter()
            .copied()
            .filter(|kernel| kernel.architecture().name == architecture.name)
            .collect();
        if !kernels.is_empty() {
            reports.extend(run_on(architecture, &kernels, layouts, &mut measured)?);
        }
    }
    if record == Record::Yes {
        VERIFIED.write(&measured)?;
    }
    let grown = VERIFIED.grown(&measured)?;
    if !grown.is_empty() {
        let (file, growth) = (VERIFIED.file, VERIFIED.growth);
        println!("FAILED {}", grown.join("\nFAILED "));
        println!(
            "more than {growth} % above {file}: make it smaller, or record it with `cargo xtask kernels --record`"
        );
        reports.push(Report {
            name: "kernels, instructions verified".to_owned(),
            outcome: Outcome::Failed,
        });
    }
    Ok(reports)
}

/// Checks the sensor on kernels of one processor.
fn run_on(
    architecture: &'static Architecture,
    kernels: &[Kernel],
    layouts: Layouts,
    measured: &mut Counts,
) -> Result<Vec<Report>> {
    if let Err(error) = setup::for_kernels(architecture) {
        let skip = |kernel: &Kernel| Report::skipped(&format!("kernel {}", kernel.name()), &error);
        return Ok(kernels.iter().map(skip).collect());
    }
    let file_system = file_system(architecture)?;
    let mut reports = Vec::new();
    for kernel in kernels {
        let folder = kernel.folder();
        let runs = if *kernel == Kernel::Native {
            native::release().map(|release| vec![try_running(release, &file_system, &folder)])
        } else {
            kernel.fetch().map(|image| {
                let mut runs = vec![boot_layouts(layouts.of(*kernel), &image, &file_system, &folder)];
                if *kernel == SABOTAGED {
                    runs.push(boot_sabotaged(&image, &file_system, &folder));
                }
                runs
            })
        };
        match runs {
            Ok(runs) => {
                measured.replace(kernel.name(), runs[0].verified());
                runs.iter().for_each(print_table);
                reports.extend(runs.iter().map(Run::report));
            }
            Err(error) => reports.push(Report::skipped(&format!("kernel {}", kernel.name()), &error)),
        }
    }
    Ok(reports)
}

/// Builds the sensor, and the file system with it.
fn file_system(architecture: &'static Architecture) -> Result<FileSystem> {
    let folder = target_folder().join("kernels").join(architecture.name);
    fs::create_dir_all(&folder).with_context(|| format!("could not create `{}`", folder.display()))?;
    if architecture.name == Architecture::of_this_machine().name {
        command::run(&mut build_sensor())?;
        let sensor = target_folder().join("release/tidewaiter");
        initramfs::build(&folder, &sensor, &Programs::of_this_machine(&sensor)?)
    } else {
        let sensor = dist::program(architecture)?;
        initramfs::build(&folder, &sensor, &Programs::of_debian(architecture, &folder)?)
    }
}

/// One kernel, tried in each way.
struct Run {
    release: String,
    checks: &'static [NamedCheck],
    columns: Vec<Column>,
}

impl Kernel {
    /// As in the command line.
    fn name(self) -> &'static str {
        match self {
            Kernel::V5_10 => "5.10",
            Kernel::V6_1 => "6.1",
            Kernel::V6_12 => "6.12",
            Kernel::Newest => "newest",
            Kernel::Arm64V5_10 => "arm64-5.10",
            Kernel::Arm64V6_1 => "arm64-6.1",
            Kernel::Arm64Newest => "arm64-newest",
            Kernel::Native => "native",
        }
    }

    fn architecture(self) -> &'static Architecture {
        self.source()
            .map_or(Architecture::of_this_machine(), |source| source.architecture)
    }

    /// The image, fetched if it is not there yet; not for the one that runs here.
    pub(crate) fn fetch(self) -> Result<Image> {
        let source = self.source().context("the running kernel is not booted")?;
        packages::fetch(&source, &self.folder())
    }

    /// Where it is kept, and what came of its boots.
    fn folder(self) -> PathBuf {
        target_folder().join("kernels").join(self.name())
    }

    /// Where it is, but for the one that runs here.
    fn source(self) -> Option<Source> {
        const CLOUD: &str = "linux-image-cloud-amd64";
        const ARM64_CLOUD: &str = "linux-image-cloud-arm64";
        let (architecture, archive, suite, metapackage) = match self {
            Kernel::V5_10 => (&X86_64, "Debian", "bullseye", CLOUD),
            Kernel::V6_1 => (&X86_64, "Debian", "bookworm", CLOUD),
            Kernel::V6_12 => {
                let metapackage = "linux-image-6.12-cloud-amd64";
                (&X86_64, "Debian-Security", "bookworm-security", metapackage)
            }
            Kernel::Newest => (&X86_64, "Debian", "sid", CLOUD),
            Kernel::Arm64V5_10 => (&AARCH64, "Debian", "bullseye", ARM64_CLOUD),
            Kernel::Arm64V6_1 => (&AARCH64, "Debian", "bookworm", ARM64_CLOUD),
            Kernel::Arm64Newest => (&AARCH64, "Debian", "sid", ARM64_CLOUD),
            Kernel::Native => return None,
        };
        Some(Source {
            architecture,
            archive,
            suite,
            metapackage,
        })
    }
}

impl Layouts {
    fn of(self, kernel: Kernel) -> &'static [&'static str] {
        match self {
            Layouts::EachOnTheOldest if kernel != Kernel::V5_10 => &LAYOUTS[..1],
            Layouts::Each | Layouts::EachOnTheOldest => &LAYOUTS,
        }
    }
}

impl Run {
    fn report(&self) -> Report {
        let failed = self
            .columns
            .iter()
            .flat_map(|column| &column.results)
            .any(Result::is_err);
        Report {
            name: format!("kernel {}", self.release),
            outcome: if failed { Outcome::Failed } else { Outcome::Passed },
        }
    }

    /// By program; the layout of cgroups makes no difference.
    fn verified(&self) -> &[(String, u64)] {
        let counts = self.columns.iter().map(|column| column.verified.as_slice());
        counts.max_by_key(|counts| counts.len()).unwrap_or_default()
    }
}

impl Report {
    pub(crate) fn skipped(name: &str, error: &Error) -> Self {
        let report = Report {
            name: name.to_owned(),
            outcome: Outcome::Skipped(format!("what it needs cannot be had: {error:#}")),
        };
        println!("SKIPPED {}: what it needs cannot be had: {error:#}\n", report.name);
        report
    }
}

fn boot_layouts(layouts: &[&'static str], image: &Image, file_system: &FileSystem, folder: &Path) -> Run {
    let columns = layouts.iter().map(|layout| {
        eprintln!("xtask: kernel {}, cgroups {layout}", image.release);
        let evidence = boot::boot(
            image,
            &file_system.archive,
            &Boot::with(&format!("layout={layout} scenario=collect")),
            &folder.join(layout),
        )
        .and_then(|results| Evidence::read(&results));
        column(layout, &CHECKS, evidence)
    });
    Run {
        release: image.release.clone(),
        checks: &CHECKS,
        columns: columns.collect(),
    }
}

fn boot_sabotaged(image: &Image, file_system: &FileSystem, folder: &Path) -> Run {
    const WORDS: &str = "layout=v2 scenario=sabotage lsm=lockdown,capability";
    eprintln!("xtask: kernel {}, sabotaged", image.release);
    let evidence = boot::boot(
        image,
        &file_system.archive,
        &Boot::with(WORDS),
        &folder.join("sabotaged"),
    )
    .and_then(|results| Evidence::read(&results));
    Run {
        release: format!("{}, sabotaged", image.release),
        checks: &SABOTAGES,
        columns: vec![column("v2", &SABOTAGES, evidence)],
    }
}

fn try_running(release: String, file_system: &FileSystem, folder: &Path) -> Run {
    eprintln!("xtask: kernel {release}, which runs here");
    let evidence = native::run(&file_system.root, folder).and_then(|results| Evidence::read(&results));
    Run {
        release,
        checks: &CHECKS,
        columns: vec![column("as it is", &CHECKS, evidence)],
    }
}

fn column(layout: &'static str, checks: &[NamedCheck], evidence: Result<Evidence>) -> Column {
    match evidence {
        Ok(evidence) => Column {
            layout,
            results: checks.iter().map(|(_, check)| check(&evidence)).collect(),
            load_ms: evidence.load_ms(),
            verified: evidence.verified(),
        },
        // Without evidence nothing is as it should be; the reason is reported once.
        Err(error) => Column {
            layout,
            results: vec![Err(error)],
            load_ms: "-".to_owned(),
            verified: Vec::new(),
        },
    }
}

/// A row for each check and figure, a column for each layout; then why checks failed.
fn print_table(run: &Run) {
    let Run {
        release,
        checks,
        columns,
    } = run;
    let row = |name: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>10}")).collect();
        println!("{name:<52}{cells}");
    };
    row(
        &format!("kernel {release}"),
        columns.iter().map(|column| column.layout.to_owned()).collect(),
    );
    for (index, (name, _)) in checks.iter().enumerate() {
        let cell = |column: &Column| match column.results.get(index) {
            Some(Ok(())) => "ok".to_owned(),
            _ => "FAILED".to_owned(),
        };
        row(name, columns.iter().map(cell).collect());
    }
    let load = columns.iter().map(|column| column.load_ms.clone());
    row("load time, ms", load.collect());
    if run.verified().is_empty() {
        row("instructions verified (told from 5.16 on)", vec!["-".to_owned()]);
    }
    for (program, _) in run.verified() {
        let cell = |column: &Column| {
            let count = column.verified.iter().find(|(other, _)| other == program);
            count.map_or("-".to_owned(), |(_, count)| count.to_string())
        };
        row(
            &format!("instructions verified, {program}"),
            columns.iter().map(cell).collect(),
        );
    }
    for column in columns {
        for (index, result) in column.results.iter().enumerate() {
            if let Err(error) = result {
                let name = match column.results.len() {
                    1 => "every check",
                    _ => checks[index].0,
                };
                println!("FAILED {release}, cgroups {}: {name}: {error:#}", column.layout);
            }
        }
    }
    println!();
}
