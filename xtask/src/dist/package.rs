//! The Debian package: binary, unit, configuration, the stock rules to read, manual pages and completions.

use std::fs;

use anyhow::{Context as _, Result};

use super::archive::{Files, gzip};
use super::release::Release;
use crate::architecture::Architecture;
use crate::command::repository;

const CONFIGURATION: &str = "etc/tidewaiter/tidewaiter.toml";
/// The address is none: there is no list of the developers' yet.
const MAINTAINER: &str = "Tidewaiter developers <tidewaiter@developers.invalid>";
const SCRIPTS: [&str; 3] = ["postinst", "postrm", "prerm"];
const BYTES_IN_KIB: usize = 1024;

/// The package with the program and these files.
pub(crate) fn build(
    release: &Release,
    architecture: &Architecture,
    program: &[u8],
    mut files: Files,
) -> Result<Vec<u8>> {
    files.add("usr/bin/tidewaiter", 0o755, program);
    let changes = changes(release)?;
    files.add(
        "usr/share/doc/tidewaiter/changelog.gz",
        0o644,
        gzip(changes.as_bytes())?,
    );
    let data = gzip(&files.tar("./", release.time)?)?;

    let mut control = Files::default();
    control.add("control", 0o644, description(release, architecture, files.bytes()));
    control.add("conffiles", 0o644, format!("/{CONFIGURATION}\n"));
    for script in SCRIPTS {
        control.add(script, 0o755, read(&format!("packaging/debian/{script}"))?);
    }
    let control = gzip(&control.tar("./", release.time)?)?;

    let mut package = ar::Builder::new(Vec::new());
    let members: [(&str, &[u8]); 3] = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", &control),
        ("data.tar.gz", &data),
    ];
    for (name, bytes) in members {
        let mut header = ar::Header::new(name.into(), bytes.len() as u64);
        header.set_mtime(release.time);
        header.set_mode(0o100_644);
        package.append(&header, bytes)?;
    }
    package.into_inner().context("could not write the package")
}

/// What is installed beside the program, but for what is generated.
pub(crate) fn add_sources(files: &mut Files) -> Result<()> {
    files.add(
        CONFIGURATION,
        0o644,
        commented(&String::from_utf8(read("sensor/src/config/default.toml")?)?),
    );
    files.add_folder("etc/tidewaiter/rules", 0o755);
    files.add("usr/share/doc/tidewaiter/copyright", 0o644, copyright()?);
    files.add(
        "usr/share/doc/tidewaiter/CHANGELOG.md.gz",
        0o644,
        gzip(&read("CHANGELOG.md")?)?,
    );
    files.add(
        "lib/systemd/system/tidewaiter.service",
        0o644,
        read("packaging/tidewaiter.service")?,
    );
    for entry in fs::read_dir(repository().join("rules"))? {
        let file = entry?.path();
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .context("a rule without a name")?;
        files.add(
            &format!("usr/share/doc/tidewaiter/rules/{name}"),
            0o644,
            fs::read(&file)?,
        );
    }
    Ok(())
}

/// The default configuration with each setting commented out, so that a default which a later version changes is taken.
fn commented(default: &str) -> String {
    let line = |line: &str| match line {
        "" => "\n".to_owned(),
        comment if comment.starts_with('#') => format!("{comment}\n"),
        section if section.starts_with('[') => format!("{section}\n"),
        setting => format!("# {setting}\n"),
    };
    default.lines().map(line).collect()
}

/// Who may do what with it, in the file that Debian's policy names; licences that each system has are not repeated.
fn copyright() -> Result<String> {
    let mit = String::from_utf8(read("LICENSE-MIT")?)?;
    Ok(format!(
        "Tidewaiter is under MIT or Apache-2.0, at your choice. The Apache licence is in\n\
         /usr/share/common-licenses/Apache-2.0; the other one is:\n\n{mit}\n\
         What its binary holds of others is under licences of their own, all in THIRD-PARTY-LICENCES.\n"
    ))
}

/// The package's own history, in Debian's form.
fn changes(release: &Release) -> Result<String> {
    let time = jiff::Timestamp::from_second(i64::try_from(release.time)?)?;
    Ok(format!(
        "tidewaiter ({version}) unstable; urgency=medium\n\n  \
         * What is new is in CHANGELOG.md.gz.\n\n \
         -- {MAINTAINER}  {date}\n",
        version = release.version,
        date = time.strftime("%a, %d %b %Y %H:%M:%S +0000"),
    ))
}

fn description(release: &Release, architecture: &Architecture, installed: usize) -> String {
    // Debian's short descriptions begin without an article.
    let summary = release
        .description
        .trim_start_matches("Tidewaiter: ")
        .trim_start_matches("an ");
    format!(
        "Package: tidewaiter\n\
         Version: {version}\n\
         Architecture: {architecture}\n\
         Maintainer: {MAINTAINER}\n\
         Section: admin\n\
         Priority: optional\n\
         Installed-Size: {size}\n\
         Description: {summary}\n \
         It sees every fork, exec and exit on the host, says which container, session\n \
         and terminal each process belongs to, and runs detection rules in Elastic's\n \
         rule format on each event, at the moment it happens.\n",
        version = release.version,
        architecture = architecture.debian,
        size = installed.div_ceil(BYTES_IN_KIB),
    )
}

fn read(path: &str) -> Result<Vec<u8>> {
    fs::read(repository().join(path)).with_context(|| format!("could not read `{path}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installed_configuration_changes_nothing_until_it_is_edited() {
        let text = String::from_utf8(read("sensor/src/config/default.toml").unwrap()).unwrap();
        let installed = commented(&text);
        let settings: Vec<&str> = installed
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with(['#', '[']))
            .collect();
        assert_eq!(settings, [""; 0]);
        // Nothing is lost of what can be set.
        assert!(installed.contains("\n# heartbeat = \"1m\"\n"));
        assert_eq!(installed.lines().count(), text.lines().count());
    }
}
