//! The commands of the documentation, run as they stand there: those of blocks that begin with `sh tested`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tests::program::tidewaiter;
use tests::sensor::Home;

const BEGIN: &str = "```sh tested\n";
const END: &str = "\n```";

/// Each file of documentation with its blocks.
fn documented() -> Result<Vec<(PathBuf, Vec<String>)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let blocks = text.split(BEGIN).skip(1).map(|rest| {
            let block = rest.split_once(END).context("a block does not end")?.0;
            Ok(block.to_owned())
        });
        found.push((path, blocks.collect::<Result<_>>()?));
    }
    Ok(found)
}

#[test]
fn what_the_documentation_says_to_run_beside_a_sensor_succeeds() -> Result<()> {
    let home = Home::new()?;
    let programs = home.path().join("programs");
    fs::create_dir(&programs)?;
    symlink(tidewaiter()?, programs.join("tidewaiter"))?;
    let path = std::env::var("PATH")?;
    let _sensor = home.run()?;
    let mut number = 0;
    for (file, blocks) in documented()? {
        for block in blocks {
            let output = Command::new("sh")
                .args(["-eu", "-c", &block])
                .current_dir(home.path())
                .env("PATH", format!("{}:{path}", programs.display()))
                .env("TIDEWAITER_STATE_DIRECTORY", home.state())
                .env("TIDEWAITER_RULES", home.rules())
                .output()?;
            ensure!(
                output.status.success(),
                "`{}`: {block}\n{}{}",
                file.display(),
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            number += 1;
        }
    }
    ensure!(number >= 4, "only {number} blocks are there");
    Ok(())
}
