//! The images of a cluster: the sensor's as they are released, the others packed on the spot. No registry is asked for
//! anything.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result};

use super::Cluster;
use crate::image;
use crate::program::{compile_static, copy, run};

/// What holds a pod's namespaces.
pub(super) const SANDBOX_IMAGE: &str = "registry.example/tools/pause:1";

/// What most containers run, without end if nothing else is said.
pub const WEB_IMAGE: &str = "registry.example/shop/web:2.4";

/// What is put beside them.
pub const DEBUG_IMAGE: &str = "registry.example/tools/debug:1";

/// Programs of `tests/programs` that are in the image of most.
const PROGRAMS: [&str; 1] = ["attacker"];

/// Where the sensor's image has its rights from.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Rights {
    /// What the runtime gives root.
    OfRoot,
    /// Capabilities of the file, for a user who is not root.
    OfFile,
}

impl Rights {
    fn suffix(self) -> &'static str {
        match self {
            Rights::OfRoot => "",
            Rights::OfFile => "-nonroot",
        }
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The name of the image that the manifests have, or of the one with capabilities of the file.
pub fn sensor_image(rights: Rights) -> String {
    format!("tidewaiter:{VERSION}{}", rights.suffix())
}

/// `released` is the folder with what is released.
pub(super) fn import(cluster: &Cluster, released: &Path) -> Result<()> {
    let of_sensor = [Rights::OfRoot, Rights::OfFile].map(|rights| {
        let processor = env::consts::ARCH;
        released.join(format!(
            "tidewaiter-{VERSION}-{processor}{}.docker.tar",
            rights.suffix()
        ))
    });
    let folder = cluster.path().join("images");
    for archive in archives(&folder)?.iter().chain(&of_sensor) {
        run(cluster.ctr(&["images", "import"]).arg(archive))
            .with_context(|| format!("`{}` could not be imported", archive.display()))?;
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
    let pack = |root: &Path, name: &str, command: &[&str]| -> Result<PathBuf> {
        let folder = folder.join(name.replace(['/', ':'], "-"));
        fs::create_dir_all(&folder)?;
        image::pack(root, name, command, &folder)
    };
    let sleeping = ["/bin/sleep", "infinity"];
    Ok(vec![
        pack(&web, SANDBOX_IMAGE, &sleeping)?,
        pack(&web, WEB_IMAGE, &sleeping)?,
        pack(&debug, DEBUG_IMAGE, &sleeping)?,
    ])
}
