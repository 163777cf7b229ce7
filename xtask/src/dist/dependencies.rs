//! What the binary is made of beside this repository: the crates that are linked into the agent and into the kernel
//! side that it carries, as cargo resolves them, Rust's own library with its crates, and the libraries of the toolchain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::architecture::Architecture;
use crate::command::{cargo_metadata, output_of, repository};
use crate::ebpf_toolchain::find_compiler;

/// Something linked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dependency {
    pub name: String,
    pub version: String,
    /// In SPDX's words.
    pub licence: String,
    /// Of the sources as the registry has them.
    pub checksum: Option<String>,
    /// Where the texts of its licence are.
    pub folder: PathBuf,
    /// What it is linked with by itself: names with versions.
    pub needs: BTreeSet<String>,
}

impl Dependency {
    /// Name and version, which are never the same for two.
    pub(crate) fn id(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// The crates linked for this processor, in the order of their names.
pub(crate) fn linked(architecture: &Architecture) -> Result<Vec<Dependency>> {
    let library = rust_library()?;
    let agent = repository();
    let kernel_side = agent.join("sensor-ebpf");
    let mut linked = BTreeMap::new();
    for (workspace, member, root, features, target) in [
        (&agent, "", "sensor", "", architecture.target),
        (&kernel_side, "", "sensor-ebpf", "", "bpfel-unknown-none"),
        // With the features that cargo gives it when it builds it.
        (
            &library,
            "sysroot",
            "sysroot",
            "backtrace,panic-unwind",
            architecture.target,
        ),
    ] {
        let metadata = metadata(&workspace.join(member).join("Cargo.toml"), features, target)?;
        for dependency in reachable(&metadata, root, &checksums(&workspace.join("Cargo.lock"))?)? {
            linked.insert(dependency.id(), dependency);
        }
    }
    Ok(linked.into_values().collect())
}

/// The sources of Rust's own library.
fn rust_library() -> Result<PathBuf> {
    let compiler = find_compiler().context("the compiler with its library's source cannot be found")?;
    let sysroot = compiler
        .rustc
        .ancestors()
        .nth(2)
        .context("the compiler is in no sysroot")?;
    Ok(sysroot.join("lib/rustlib/src/rust/library"))
}

fn metadata(manifest: &Path, features: &str, target: &str) -> Result<Value> {
    let mut command = cargo_metadata();
    command
        .args(["--filter-platform", target, "--features", features])
        .arg("--manifest-path")
        .arg(manifest)
        // Rust's own library is written in what is unstable.
        .env("RUSTC_BOOTSTRAP", "1");
    Ok(serde_json::from_str(&output_of(&mut command)?)?)
}

/// What a lock file says of each package of the registry, by name and version.
fn checksums(lock_file: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(lock_file).with_context(|| format!("could not read `{}`", lock_file.display()))?;
    let lock: toml::Table = text.parse()?;
    let packages = lock.get("package").and_then(|packages| packages.as_array());
    let packages = packages.with_context(|| format!("`{}` names no packages", lock_file.display()))?;
    let checksum = |package: &toml::Value| {
        let text = |key: &str| package.get(key)?.as_str().map(str::to_owned);
        Some((format!("{}@{}", text("name")?, text("version")?), text("checksum")?))
    };
    Ok(packages.iter().filter_map(checksum).collect())
}

/// All from registries that the root is linked with: not what only runs while building, nor what only tests need.
fn reachable(metadata: &Value, root: &str, checksums: &BTreeMap<String, String>) -> Result<Vec<Dependency>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let by_id = |values: Vec<Value>| -> BTreeMap<String, Value> {
        let with_id = |value: Value| Some((value["id"].as_str()?.to_owned(), value));
        values.into_iter().filter_map(with_id).collect()
    };
    let packages = by_id(list(&metadata["packages"]));
    let nodes = by_id(list(&metadata["resolve"]["nodes"]));
    let is_macro = |id: &str| {
        let targets = list(&packages[id]["targets"]);
        targets
            .iter()
            .any(|target| list(&target["kind"]).contains(&"proc-macro".into()))
    };
    let needs = |id: &str| -> Vec<String> {
        let is_linked = |dependency: &&Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        let dependencies = list(&nodes[id]["deps"]);
        let linked = dependencies.iter().filter(is_linked);
        let ids = linked.filter_map(|dependency| dependency["pkg"].as_str().map(str::to_owned));
        ids.filter(|id| !is_macro(id)).collect()
    };
    let named = |id: &str| -> Option<String> {
        let package = &packages[id];
        Some(format!(
            "{}@{}",
            package["name"].as_str()?,
            package["version"].as_str()?
        ))
    };
    let found = packages.iter().find(|(_, package)| package["name"] == root);
    let (root, _) = found.with_context(|| format!("cargo knows no package `{root}`"))?;
    let mut seen = BTreeSet::new();
    let mut unseen = vec![root.clone()];
    while let Some(id) = unseen.pop() {
        if seen.insert(id.clone()) {
            unseen.extend(needs(&id));
        }
    }
    let foreign = seen.iter().filter(|id| !packages[*id]["source"].is_null());
    foreign
        .map(|id| {
            let package = &packages[id];
            let text = |key: &str| package[key].as_str().map(str::to_owned);
            let name = named(id).context("a package without a name")?;
            Ok(Dependency {
                name: text("name").unwrap_or_default(),
                version: text("version").unwrap_or_default(),
                licence: text("license")
                    .with_context(|| format!("`{name}` names no licence"))?
                    .replace('/', " OR "),
                checksum: checksums.get(&name).cloned(),
                folder: Path::new(&text("manifest_path").unwrap_or_default())
                    .parent()
                    .map(Path::to_owned)
                    .unwrap_or_default(),
                needs: needs(id).iter().filter_map(|id| named(id)).collect(),
            })
        })
        .collect()
}
