//! Builds Kubernetes' programs once and keeps them, with what they were built from; sources and Go's cache, some 1.5 GB, go.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::source::{self, Source};
use crate::command::{output_of, require_room, run_logged};

const PROGRAMS: [&str; 5] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kubectl",
];

/// In GiB.
const ROOM: u64 = 3;

/// Writes the one file that is generated and not in the source package: without it the API server does not compile.
const GENERATOR: &str = "./vendor/k8s.io/kube-openapi/cmd/openapi-gen";
const GENERATED: &str = "pkg/generated/openapi";
/// What a package says that the generator is to look at.
const MARK: &str = "+k8s:openapi-gen=";
/// Packages that bear the mark and are no part of the API.
const NOT_OF_THE_API: [&str; 2] = ["vendor/k8s.io/code-generator/", "vendor/k8s.io/sample-apiserver/"];

/// The folder with the programs, below `folder`: those that are there, unless Go is another by now. Remove it for another
/// version of Kubernetes.
pub(crate) fn programs(folder: &Path) -> Result<PathBuf> {
    let programs = folder.join("programs");
    let built_from = programs.join("built-from");
    let compiler = compiler_version()?;
    if fs::read_to_string(&built_from).is_ok_and(|text| text.ends_with(&compiler)) {
        return Ok(programs);
    }
    let work = folder.join("build");
    // Left by a build that did not end well.
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    require_room("building Kubernetes", ROOM)?;
    let source = source::fetch(&work)?;
    eprintln!(
        "xtask: building Kubernetes {}; about seven minutes of one processor",
        source.release
    );
    let build = Build {
        source: &source,
        cache: work.join("cache"),
        output: work.join("programs"),
    };
    build.run()?;
    fs::write(
        build.output.join("built-from"),
        format!("{}\n{compiler}", source.version),
    )?;
    if programs.exists() {
        fs::remove_dir_all(&programs)?;
    }
    fs::rename(&build.output, &programs).context("could not move the programs")?;
    fs::remove_dir_all(&work).with_context(|| format!("could not remove `{}`", work.display()))?;
    Ok(programs)
}

struct Build<'a> {
    source: &'a Source,
    cache: PathBuf,
    output: PathBuf,
}

impl Build<'_> {
    fn run(&self) -> Result<()> {
        fs::create_dir_all(&self.output)?;
        self.compile(&[GENERATOR])?;
        let generator = self.output.join("openapi-gen");
        self.generate(&generator)?;
        fs::remove_file(generator)?;
        self.compile(&PROGRAMS.map(|name| format!("./cmd/{name}")))
    }

    fn compile(&self, packages: &[impl AsRef<str>]) -> Result<()> {
        let release = &self.source.release;
        let mut numbers = release.split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let mut linker_flags = "-s -w".to_owned();
        for package in ["component-base/version", "client-go/pkg/version"] {
            for (name, value) in [
                ("gitVersion", format!("v{release}").as_str()),
                ("gitMajor", major),
                ("gitMinor", minor),
                ("gitTreeState", "clean"),
            ] {
                linker_flags += &format!(" -X k8s.io/kubernetes/vendor/k8s.io/{package}.{name}={value}");
            }
        }
        let mut build = self.niced("go");
        build
            .args(["build", "-p", "2", "-trimpath", "-tags", "providerless,dockerless"])
            .args(["-ldflags", &linker_flags, "-o"])
            // Into a folder, under their own names.
            .arg(self.output.join(""))
            .args(packages.iter().map(AsRef::as_ref));
        run_logged("cluster-build.log", &mut build)
    }

    fn generate(&self, generator: &Path) -> Result<()> {
        let mut packages = BTreeSet::new();
        for top in ["cmd", "pkg", "vendor/k8s.io"] {
            collect_marked(&self.source.folder, Path::new(top), &mut packages)?;
        }
        let inputs: Vec<String> = packages
            .iter()
            .map(|folder| format!("k8s.io/kubernetes/{folder}"))
            .collect();
        let mut generate = self.niced(generator);
        generate
            .args(["--logtostderr", "-i", &inputs.join(",")])
            .args([
                "-p",
                &format!("k8s.io/kubernetes/{GENERATED}"),
                "-O",
                "zz_generated.openapi",
            ])
            .args(["-h", "vendor/k8s.io/code-generator/hack/boilerplate.go.txt", "-r"])
            .arg(self.cache.join("violations"))
            // One that was built without its paths finds the standard library by this alone.
            .env("GOROOT", go(&["env", "GOROOT"])?);
        run_logged("cluster-generate.log", &mut generate)
    }

    /// A command that lets everything else go first.
    fn niced(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nice");
        command
            .args(["-n", "15"])
            .arg(program.as_ref())
            .current_dir(&self.source.folder)
            .env("GOPATH", &self.source.root)
            .env("GOCACHE", &self.cache)
            .env("GOFLAGS", "")
            .env("GO111MODULE", "off")
            .env("CGO_ENABLED", "0");
        command
    }
}

/// The folders below `folder` with a file that bears the mark.
fn collect_marked(source: &Path, folder: &Path, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(source.join(folder))? {
        let path = folder.join(entry?.file_name());
        // Many are links.
        if source.join(&path).is_dir() {
            collect_marked(source, &path, found)?;
        } else if path.extension().is_some_and(|suffix| suffix == "go") && is_marked(&fs::read(source.join(&path))?) {
            let name = folder.to_string_lossy().into_owned();
            if !NOT_OF_THE_API.iter().any(|other| name.starts_with(other)) {
                found.insert(name);
            }
        }
    }
    Ok(())
}

fn is_marked(file: &[u8]) -> bool {
    let text = String::from_utf8_lossy(file);
    text.lines().any(|line| {
        line.strip_prefix("//")
            .is_some_and(|comment| comment.trim_start_matches(' ').starts_with(MARK))
    })
}

/// One line.
fn compiler_version() -> Result<String> {
    go(&["version"])
}

fn go(arguments: &[&str]) -> Result<String> {
    let said = output_of(Command::new("go").args(arguments))?;
    Ok(said.trim_end().to_owned())
}
