//! `xtask dist`: what is released, in `target/dist`. The same sources give the same bytes: times are the commit's,
//! entries are sorted, and no path of the machine is in anything.
//!
//! toolchain -> binary -> documents (manual pages, licences, bill of materials) -> image, package -> checksums. Nothing
//! here asks a container registry or needs a container engine.

mod archive;
mod binary;
mod bom;
mod dependencies;
mod digest;
mod documents;
mod image;
mod licences;
mod package;
mod release;
mod toolchain;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;

use crate::architecture::Architecture;
use crate::command::{repository, target_folder};
use archive::Files;
use digest::hexadecimal;
use image::{Image, Rights};
use release::Release;
use toolchain::Toolchain;

/// Something that is released.
#[derive(Copy, Clone, PartialEq, Eq, ValueEnum)]
pub(crate) enum Artifact {
    /// One file that needs nothing beside it, its licences and its bill of materials
    Binary,
    /// Container images that hold nothing else, for root and for another user: archives that engines load, and OCI layouts
    Image,
    /// A Debian package
    Package,
}

/// How often the binary is built; all that is made of it is built twice and compared anyway.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Times {
    Once,
    Twice,
}

/// To tests: the folder with what is released.
pub(crate) const RELEASED: &str = "TIDEWAITER_RELEASED";

/// How a program begins.
const ELF: &[u8] = b"\x7fELF";

/// Released files by their names.
type Released = BTreeMap<String, Vec<u8>>;

/// Where everything is.
pub(crate) fn folder() -> PathBuf {
    target_folder().join("dist")
}

/// Fetches what the binaries are made of beside this repository's crates, unless it is there.
pub(crate) fn fetch(architectures: &[&'static Architecture]) -> Result<()> {
    let folder = folder();
    fs::create_dir_all(&folder).with_context(|| format!("could not create `{}`", folder.display()))?;
    for architecture in architectures {
        toolchain::provide(architecture, &folder)?;
        // Cargo has to have all crates to say what they need.
        dependencies::linked(architecture)?;
    }
    Ok(())
}

/// Builds the binary for one processor; gives its file.
pub(crate) fn program(architecture: &'static Architecture) -> Result<PathBuf> {
    fetch(&[architecture])?;
    binary::build(architecture, &toolchain::provide(architecture, &folder())?)
}

/// Where the Debian package for one processor is, once it is built.
pub(crate) fn package(architecture: &Architecture) -> Result<PathBuf> {
    Ok(folder().join(package_name(&Release::of_repository()?, architecture)))
}

fn package_name(release: &Release, architecture: &Architecture) -> String {
    format!("tidewaiter_{}_{}.deb", release.version, architecture.debian)
}

/// Builds an artifact and what it is made of, or all, for these processors.
pub(crate) fn run(artifact: Option<Artifact>, architectures: &[&'static Architecture], times: Times) -> Result<()> {
    fetch(architectures)?;
    let folder = folder();
    let release = Release::of_repository()?;
    let mut programs = Vec::new();
    for &architecture in architectures {
        let toolchain = toolchain::provide(architecture, &folder)?;
        let program = binary::build(architecture, &toolchain)?;
        if times == Times::Twice {
            binary::build_again(architecture, &toolchain, &program)?;
        }
        let program = fs::read(&program).with_context(|| format!("could not read `{}`", program.display()))?;
        programs.push((architecture, toolchain, program));
    }
    let released = assemble(&release, &programs, artifact, &folder)?;
    let again = assemble(&release, &programs, artifact, &folder)?;
    ensure!(released == again, "what is built of the same programs differs");
    for (name, bytes) in &released {
        let file = folder.join(name);
        fs::write(&file, bytes).with_context(|| format!("could not write `{}`", file.display()))?;
        if bytes.starts_with(ELF) {
            fs::set_permissions(&file, Permissions::from_mode(0o755))?;
        }
        println!("{} ({} KiB)", file.display(), bytes.len().div_ceil(1024));
    }
    Ok(())
}

/// All that is released of the programs.
fn assemble(
    release: &Release,
    programs: &[(&'static Architecture, Toolchain, Vec<u8>)],
    artifact: Option<Artifact>,
    folder: &Path,
) -> Result<Released> {
    let is_wanted = |other| artifact.is_none_or(|artifact| artifact == other);
    let mut released = Released::new();
    let mut images = BTreeMap::new();
    let installed = if is_wanted(Artifact::Package) {
        let mut files = documents::build(folder)?;
        package::add_sources(&mut files)?;
        files
    } else {
        Files::default()
    };
    for (architecture, toolchain, program) in programs {
        let name = format!("tidewaiter-{}-{}", release.version, architecture.name);
        let (libraries, dependencies) = (toolchain.libraries()?, dependencies::linked(architecture)?);
        let mut licences = Files::default();
        let texts = licences::build(&libraries, &dependencies)?;
        licences.add("usr/share/doc/tidewaiter/THIRD-PARTY-LICENCES", 0o644, texts.as_bytes());
        for file in ["LICENSE-APACHE", "LICENSE-MIT"] {
            licences.add(
                &format!("usr/share/doc/tidewaiter/{file}"),
                0o644,
                fs::read(repository().join(file))?,
            );
        }
        if is_wanted(Artifact::Image) {
            for rights in Rights::ALL {
                let image = Image::new(release, architecture, rights, program, licences.clone())?;
                released.insert(format!("{name}{}.docker.tar", rights.suffix()), image.docker_archive()?);
                images.entry(rights).or_insert_with(Vec::new).push(image);
            }
        }
        if is_wanted(Artifact::Package) {
            let mut files = installed.clone();
            files.extend(licences);
            released.insert(
                package_name(release, architecture),
                package::build(release, architecture, program, files)?,
            );
        }
        if is_wanted(Artifact::Binary) {
            released.insert(
                format!("{name}.cdx.json"),
                bom::build(release, &libraries, &dependencies)?,
            );
            released.insert(format!("{name}.licences.txt"), texts.into_bytes());
        }
        released.insert(name, program.clone());
    }
    for (rights, images) in images {
        let name = format!("tidewaiter-{}{}.oci.tar", release.version, rights.suffix());
        released.insert(name, image::oci_archive(release, rights, &images)?);
    }
    if artifact.is_none() {
        let lines = released
            .iter()
            .map(|(name, bytes)| format!("{}  {name}\n", hexadecimal(bytes)));
        let lines: String = lines.collect();
        released.insert("SHA256SUMS".to_owned(), lines.into_bytes());
    }
    Ok(released)
}
