//! `xtask systemd`: the Debian package and its unit in a real systemd, in a virtual machine.
//!
//! package, file system, kernel -> boot -> checks. The machine installs the package, works with the unit and writes down
//! what it sees (`guest/trial.sh`); it is judged here. What cannot be had is skipped with its reason, and never counted
//! as passed.

mod checks;
mod root;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::command::target_folder;
use crate::kernels::boot::{self, Boot};
use crate::kernels::{Kernel, Outcome, Report};
use crate::setup;
use checks::{CHECKS, Evidence};

/// The kernel of the Debian whose systemd it is.
const KERNEL: Kernel = Kernel::V6_1;

const BOOT: Boot<'_> = Boot {
    // Nobody logs in, and the port that this would be at is waited for in vain.
    words: "systemd.mask=serial-getty@ttyS0.service",
    // One processor: with several the emulator's time may stand still while the second one starts. Time goes by with
    // what is executed, and leaps where nothing is: no limit of the unit is missed because this machine is busy, and the
    // watchdog's minute costs none.
    options: &[
        "-m",
        "2048",
        "-smp",
        "1",
        "-icount",
        "shift=1,sleep=off",
        "-rtc",
        "clock=vm",
    ],
    limit: Duration::from_secs(1800),
};

/// Tries a package and says what came of each check.
pub(crate) fn run(package: &Path) -> Result<Report> {
    let name = "the package in a real systemd".to_owned();
    if let Err(error) = setup::for_systemd() {
        return Ok(Report::skipped(&name, &error));
    }
    let folder = target_folder().join("systemd");
    fs::create_dir_all(&folder).with_context(|| format!("could not create `{}`", folder.display()))?;
    let image = match KERNEL.fetch() {
        Ok(image) => image,
        Err(error) => return Ok(Report::skipped(&name, &error)),
    };
    let base = match root::base(&folder) {
        Ok(base) => base,
        Err(error) => return Ok(Report::skipped(&name, &error)),
    };
    let archive = root::build(&folder, &base, package)?;
    eprintln!("xtask: kernel {} with systemd", image.release);
    let evidence =
        boot::boot(&image, &archive, &BOOT, &folder.join("trial")).and_then(|results| Evidence::read(&results));
    let evidence = evidence?;
    let mut outcome = Outcome::Passed;
    for (name, check) in CHECKS {
        match check(&evidence) {
            Ok(()) => println!("ok      {name}"),
            Err(error) => {
                println!("FAILED  {name}: {error:#}");
                outcome = Outcome::Failed;
            }
        }
    }
    println!("exposure by `systemd-analyze security`: {}", evidence.exposure()?);
    Ok(Report { name, outcome })
}
