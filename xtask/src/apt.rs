//! Debian's archives, where the machine's own package sources name them, with an apt of its own, so that those sources stay
//! as they are and nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::architecture::Architecture;
use crate::command::{output_of, run_logged};

/// What is fetched from an archive.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Contents {
    Programs,
    Source,
}

/// An apt whose state lies in one folder.
pub(crate) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// For one processor, and a suite of the archive with this label in its release files.
    pub(crate) fn prepare(
        contents: Contents,
        architecture: &Architecture,
        archive: &str,
        suite: &str,
        folder: PathBuf,
    ) -> Result<Self> {
        // Left by a fetch that did not end well.
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        for needed in ["lists/partial", "cache/archives/partial", "packages"] {
            fs::create_dir_all(folder.join(needed))?;
        }
        let address = address(archive)?;
        let kind = match contents {
            Contents::Programs => "deb",
            Contents::Source => "deb-src",
        };
        fs::write(
            folder.join("sources.list"),
            format!("{kind} [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {address} {suite} main\n"),
        )?;
        fs::write(folder.join("status"), "")?;
        let (place, architecture) = (folder.display(), architecture.debian);
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
APT::Architecture "{architecture}";
APT::Architectures "{architecture}";
APT::Update::Error-Mode "any";
// Its own user may not write here.
APT::Sandbox::User "root";
"#
            ),
        )?;
        let apt = Apt { folder };
        run_logged("apt-of-its-own-update.log", apt.command("apt-get").arg("update"))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.folder.join("apt.conf"));
        command
    }

    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<String> {
        output_of(self.command("apt-cache").args(arguments))
    }

    /// Downloads a package and gives the folder with its files, and with those of the packages before it.
    pub(crate) fn unpack(&self, package: &str) -> Result<PathBuf> {
        let packages = self.folder.join("packages");
        run_logged(
            "apt-download.log",
            self.command("apt-get")
                .args(["download", package])
                .current_dir(&packages),
        )?;
        let file = only(&packages, |_| true)?;
        let unpacked = self.folder.join("unpacked");
        run_logged("dpkg.log", Command::new("dpkg").arg("-x").arg(&file).arg(&unpacked))?;
        // The next one is to be the only one again.
        fs::remove_file(file)?;
        Ok(unpacked)
    }

    /// Downloads a source package and unpacks it, with Debian's patches; its version and the folder.
    pub(crate) fn unpack_source(&self, package: &str) -> Result<(String, PathBuf)> {
        let packages = self.folder.join("packages");
        run_logged(
            "apt-source.log",
            self.command("apt-get")
                .args(["source", "--only-source", package])
                .current_dir(&packages),
        )?;
        let description = only(&packages, |path| path.extension().is_some_and(|suffix| suffix == "dsc"))?;
        let version = description
            .file_stem()
            .and_then(|name| name.to_str()?.split_once('_'))
            .map(|(_, version)| version.to_owned())
            .with_context(|| format!("the name of `{}` holds no version", description.display()))?;
        Ok((version, only(&packages, Path::is_dir)?))
    }

    /// Removes all that it has downloaded.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| format!("could not remove `{}`", self.folder.display()))
    }
}

/// Where the machine's own apt fetches an archive from.
pub(crate) fn address(archive: &str) -> Result<String> {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)"])
        .output()
        .context("could not start `apt-get`")?;
    let prefix = format!("Debian {archive} ");
    String::from_utf8(output.stdout)?
        .lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .map(str::to_owned)
        .with_context(|| format!("no apt source with the label `{archive}` is known here"))
}

/// The one in a folder that is wanted.
fn only(folder: &Path, is_wanted: impl Fn(&Path) -> bool) -> Result<PathBuf> {
    let paths = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let mut wanted = paths.filter(|path| is_wanted(path));
    wanted.next().context("apt downloaded nothing")
}
