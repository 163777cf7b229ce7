//! Boots one kernel in QEMU, without KVM, which not every machine has.
//!
//! The machine switches itself off; if it does not within a limit, it is ended here, and by a later limit of its own
//! where nobody waits for it any more (`guest/init.sh`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::packages::Image;
use crate::command::succeeds;

/// A boot takes some two minutes of a processor, and several times as long on a very busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(1200);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How a machine is booted.
pub(crate) struct Boot<'a> {
    /// For the kernel, and what runs first.
    pub words: &'a str,
    /// For QEMU, beside what every machine has.
    pub options: &'a [&'a str],
    /// When it is ended.
    pub limit: Duration,
}

impl<'a> Boot<'a> {
    /// With these words.
    pub(crate) fn with(words: &'a str) -> Self {
        Self {
            words,
            options: &[],
            limit: TIME_LIMIT,
        }
    }
}

/// Boots, waits for the end and gives the folder with what the machine handed over, which is in `folder`.
pub(crate) fn boot(image: &Image, initramfs: &Path, boot: &Boot<'_>, folder: &Path) -> Result<PathBuf> {
    let results = folder.join("results");
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("could not empty `{}`", folder.display()))?;
    }
    fs::create_dir_all(&results).with_context(|| format!("could not create `{}`", results.display()))?;
    let console = folder.join("console.log");
    let archive = folder.join("results.tar.gz");
    let log = File::create(folder.join("qemu.log"))?;
    let machine = &image.architecture.machine;
    // With a thread for each processor the emulator now and then crashes a kernel that changes its own code as it boots.
    let mut running = Command::new(machine.program)
        .args(machine.arguments)
        .args(["-accel", "tcg,thread=single", "-m", "1024", "-smp", "2"])
        .args(boot.options)
        .args(["-display", "none", "-no-reboot", "-nic", "none"])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .arg("-chardev")
        .arg(format!("file,id=results,path={}", archive.display()))
        .args(["-device", machine.second_port])
        .arg("-kernel")
        .arg(&image.file)
        .arg("-initrd")
        .arg(initramfs)
        .arg("-append")
        .arg(format!(
            // Emulated timers are late on a busy machine, and a kernel that tests them gives up.
            "console={} results={} panic=-1 no_timer_check preempt=full {}",
            machine.console, machine.results, boot.words
        ))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("could not start `{}`", machine.program))?;
    wait(&mut running, boot.limit)?;
    let unpacked = succeeds(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&results));
    if !unpacked {
        bail!(
            "the virtual machine handed over no results; see `{}`",
            console.display()
        );
    }
    Ok(results)
}

fn wait(machine: &mut Child, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = machine.try_wait()? {
            if status.success() {
                return Ok(());
            }
            bail!("qemu failed ({status})");
        }
        sleep(POLL_INTERVAL);
    }
    machine.kill()?;
    machine.wait()?;
    bail!("the virtual machine did not end within {} s", limit.as_secs())
}
