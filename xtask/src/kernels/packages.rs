//! Fetches kernels from the Debian archive that the machine's own package sources name, with an apt of its own, so that
//! those sources stay as they are. Nothing is installed; the image is unpacked and kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::run_logged;

/// Where in Debian's archives a kernel is.
pub(crate) struct Source {
    /// The archive's label in its release files.
    pub archive: &'static str,
    pub suite: &'static str,
    /// The package that depends on the suite's current kernel.
    pub metapackage: &'static str,
}

impl Source {
    /// Where the machine's own apt fetches this archive from.
    fn address(&self) -> Result<String> {
        let output = Command::new("apt-get")
            .args(["indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)"])
            .output()
            .context("could not start `apt-get`")?;
        let prefix = format!("Debian {} ", self.archive);
        String::from_utf8(output.stdout)?
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .map(str::to_owned)
            .with_context(|| format!("no apt source with the label `{}` is known here", self.archive))
    }
}

/// A kernel that can be booted.
pub(crate) struct Image {
    pub file: PathBuf,
    /// Its full version, as `uname -r` gives it.
    pub release: String,
}

/// The image in `folder`; fetched if it is not there yet.
pub(crate) fn fetch(source: &Source, folder: &Path) -> Result<Image> {
    let file = folder.join("vmlinuz");
    let release_file = folder.join("release");
    if let Ok(release) = fs::read_to_string(&release_file)
        && file.is_file()
    {
        return Ok(Image { file, release });
    }
    eprintln!("xtask: fetching the kernel of {}", source.suite);
    let apt = Apt::prepare(source, folder.join("apt"))?;
    let dependencies = apt.ask(&["depends", source.metapackage])?;
    let release = dependencies
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: linux-image-"))
        .with_context(|| format!("`{}` depends on no kernel", source.metapackage))?
        .to_owned();
    // From 7.2 on the image has a package of its own, and another place in it.
    let split = format!("linux-binary-{release}");
    let package = match apt.ask(&["show", &split]) {
        Ok(_) => split,
        Err(_) => format!("linux-image-{release}"),
    };
    let unpacked = apt.unpack(&package)?;
    let image = [
        format!("boot/vmlinuz-{release}"),
        format!("usr/lib/modules/{release}/vmlinuz"),
    ]
    .into_iter()
    .map(|path| unpacked.join(path))
    .find(|path| path.is_file())
    .with_context(|| format!("the package `{package}` holds no kernel image"))?;
    fs::rename(image, &file)?;
    fs::remove_dir_all(&apt.folder)?;
    fs::write(release_file, &release)?;
    Ok(Image { file, release })
}

/// An apt whose state lies in one folder.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn prepare(source: &Source, folder: PathBuf) -> Result<Self> {
        // Left by a fetch that did not end well.
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        for needed in ["lists/partial", "cache/archives/partial", "packages"] {
            fs::create_dir_all(folder.join(needed))?;
        }
        let (address, suite) = (source.address()?, source.suite);
        fs::write(
            folder.join("sources.list"),
            format!("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {address} {suite} main\n"),
        )?;
        fs::write(folder.join("status"), "")?;
        let place = folder.display();
        fs::write(
            folder.join("apt.conf"),
            format!(
                r#"Dir::Etc::sourcelist "{place}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "{place}";
Dir::State::status "{place}/status";
Dir::Cache "{place}/cache";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
APT::Architecture "amd64";
APT::Update::Error-Mode "any";
// Its own user may not write here.
APT::Sandbox::User "root";
"#
            ),
        )?;
        let apt = Apt { folder };
        run_logged("kernels-apt-update.log", apt.command("apt-get").arg("update"))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.folder.join("apt.conf"));
        command
    }

    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .command("apt-cache")
            .args(arguments)
            .output()
            .context("could not start `apt-cache`")?;
        if !output.status.success() {
            bail!("apt-cache: {}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Downloads a package and gives the folder with its files.
    fn unpack(&self, package: &str) -> Result<PathBuf> {
        let packages = self.folder.join("packages");
        run_logged(
            "kernels-apt-download.log",
            self.command("apt-get")
                .args(["download", package])
                .current_dir(&packages),
        )?;
        let file = fs::read_dir(&packages)?
            .next()
            .context("apt downloaded nothing")??
            .path();
        let unpacked = self.folder.join("unpacked");
        run_logged(
            "kernels-dpkg.log",
            Command::new("dpkg").arg("-x").arg(file).arg(&unpacked),
        )?;
        Ok(unpacked)
    }
}
