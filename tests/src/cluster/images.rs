//! The images of a cluster, packed on the spot: no registry is asked for anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Cluster;
use crate::image;
use crate::program::{compile_static, copy, run, tidewaiter};

/// What holds a pod's namespaces.
pub(super) const SANDBOX_IMAGE: &str = "registry.example/tools/pause:1";

/// What most containers run, without end if nothing else is said.
pub const WEB_IMAGE: &str = "registry.example/shop/web:2.4";

/// What is put beside them.
pub const DEBUG_IMAGE: &str = "registry.example/tools/debug:1";

/// Programs of `tests/programs` that are in the image of most.
const PROGRAMS: [&str; 1] = ["attacker"];

/// Where the sensor's image has the rights of a user who is not root from.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Rights {
    /// What the runtime gives root.
    OfRoot,
    /// Capabilities of the file.
    OfFile,
}

/// The name of the image that the manifests have, or of the one with capabilities of the file.
pub fn sensor_image(rights: Rights) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match rights {
        Rights::OfRoot => format!("tidewaiter:{version}"),
        Rights::OfFile => format!("tidewaiter:{version}-nonroot"),
    }
}

pub(super) fn import(cluster: &Cluster) -> Result<()> {
    let folder = cluster.path().join("images");
    for archive in archives(&folder)? {
        run(cluster.ctr(&["images", "import"]).arg(&archive))?;
    }
    fs::remove_dir_all(folder)?;
    Ok(())
}

fn archives(folder: &Path) -> Result<Vec<PathBuf>> {
    let web = folder.join("web");
    image::fill(&web)?;
    for program in PROGRAMS {
        copy(&compile_static(program)?, &web.join("usr/bin").join(program))?;
    }
    // With other contents, for the same ones are the same image.
    let debug = folder.join("debug");
    image::fill(&debug)?;
    fs::write(debug.join("etc/debug"), "")?;
    let sensor = folder.join("sensor");
    fill_sensor(&sensor)?;
    let pack = |root: &Path, name: &str, command: &[&str]| -> Result<PathBuf> {
        let folder = folder.join(name.replace(['/', ':'], "-"));
        fs::create_dir_all(&folder)?;
        image::pack(root, name, command, &folder)
    };
    let sleeping = ["/bin/sleep", "infinity"];
    let mut archives = vec![
        pack(&web, SANDBOX_IMAGE, &sleeping)?,
        pack(&web, WEB_IMAGE, &sleeping)?,
        pack(&debug, DEBUG_IMAGE, &sleeping)?,
    ];
    for rights in [Rights::OfRoot, Rights::OfFile] {
        if rights == Rights::OfFile {
            let capabilities = "cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search=ep";
            run(Command::new("setcap").arg(capabilities).arg(sensor.join(PROGRAM)))?;
        }
        archives.push(pack(
            &sensor,
            &format!("docker.io/library/{}", sensor_image(rights)),
            &[&format!("/{PROGRAM}")],
        )?);
    }
    Ok(archives)
}

/// In the sensor's image.
const PROGRAM: &str = "usr/bin/tidewaiter";

/// The program and the libraries that it is linked with.
fn fill_sensor(root: &Path) -> Result<()> {
    let program = root.join(PROGRAM);
    fs::create_dir_all(program.parent().context("the program is in no folder")?)?;
    copy(tidewaiter()?, &program)?;
    let libraries = run(Command::new("ldd").arg(tidewaiter()?))?;
    for library in String::from_utf8(libraries.stdout)?
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let place = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(place.parent().context("a library is in no folder")?)?;
        copy(Path::new(library), &place)?;
    }
    Ok(())
}
