//! Boots one kernel in QEMU, without KVM, which not every machine has.
//!
//! The machine switches itself off, and after a limit of its own too (`guest/init.sh`); if it does neither, it is
//! ended here.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::command::succeeds;

/// A boot takes some ten seconds on an idle machine, and minutes on a very busy one.
const TIME_LIMIT: Duration = Duration::from_secs(600);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Boots with these words for the kernel and `guest/init.sh`, waits for the end and gives the folder with what the sensor
/// wrote, which is in `folder`.
pub(crate) fn boot(kernel: &Path, initramfs: &Path, words: &str, folder: &Path) -> Result<PathBuf> {
    let results = folder.join("results");
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("could not empty `{}`", folder.display()))?;
    }
    fs::create_dir_all(&results).with_context(|| format!("could not create `{}`", results.display()))?;
    let console = folder.join("console.log");
    let archive = folder.join("results.tar.gz");
    let log = File::create(folder.join("qemu.log"))?;
    // With a thread for each processor the emulator now and then crashes a kernel that changes its own code as it boots.
    let mut machine = Command::new("nice")
        .args([
            "qemu-system-x86_64",
            "-machine",
            "q35",
            "-accel",
            "tcg,thread=single",
            "-cpu",
            "max",
        ])
        .args([
            "-m",
            "1024",
            "-smp",
            "2",
            "-display",
            "none",
            "-no-reboot",
            "-nic",
            "none",
        ])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .arg("-serial")
        .arg(format!("file:{}", archive.display()))
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .arg("-append")
        .arg(format!("console=ttyS0 panic=-1 preempt=full {words}"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("could not start `qemu-system-x86_64`")?;
    wait(&mut machine)?;
    let unpacked = succeeds(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&results));
    if !unpacked {
        bail!(
            "the virtual machine handed over no results; see `{}`",
            console.display()
        );
    }
    Ok(results)
}

fn wait(machine: &mut Child) -> Result<()> {
    let deadline = Instant::now() + TIME_LIMIT;
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
    bail!("the virtual machine did not end within {} s", TIME_LIMIT.as_secs())
}
