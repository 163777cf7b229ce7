//! The chart renders what kustomize makes of the base and of each overlay. Helm is not asked but the library that it is made
//! of: `programs/chart.go`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::program::{repository, run};

use super::Case;
use super::deployed::{Deployed, NAMESPACE};

pub(crate) const CASES: &[Case] = &[(
    "the_chart_renders_what_kustomize_makes_of_each_overlay",
    the_chart_renders_what_kustomize_makes_of_each_overlay,
)];

/// Kustomize of this age gives each kind that it does not know a namespace.
const OF_NO_NAMESPACE: [&str; 2] = ["PriorityClass", "SecurityContextConstraints"];

fn the_chart_renders_what_kustomize_makes_of_each_overlay(deployed: &Deployed<'_>) -> Result<()> {
    let manifests = repository().join("deploy/kubernetes");
    let chart = Chart::new(deployed.cluster.path())?;
    let mut overlays = BTreeMap::from([(String::new(), manifests.join("base"))]);
    for entry in fs::read_dir(manifests.join("overlays"))? {
        let entry = entry?;
        overlays.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
    }
    ensure!(overlays.len() > 1, "there are no overlays");
    for (name, folder) in overlays {
        let of_kustomize = objects(&deployed.cluster.kustomize(&folder)?)?;
        let of_chart = objects(&chart.render(&name)?)?;
        let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&of_chart), names(&of_kustomize), "overlay `{name}`");
        for (object, expected) in &of_kustomize {
            assert_eq!(&of_chart[object], expected, "overlay `{name}`: {object}");
        }
    }
    Ok(())
}

/// By kind and name.
fn objects(text: &str) -> Result<BTreeMap<String, Value>> {
    let mut objects = BTreeMap::new();
    for document in text.split("---\n") {
        let mut object: Value = serde_norway::from_str(document).with_context(|| document.to_owned())?;
        if !object.is_null() {
            sort(&mut object);
            if OF_NO_NAMESPACE.iter().any(|kind| object["kind"] == *kind)
                && let Some(metadata) = object["metadata"].as_object_mut()
            {
                metadata.remove("namespace");
            }
            objects.insert(format!("{} {}", object["kind"], object["metadata"]["name"]), object);
        }
    }
    Ok(objects)
}

/// The order of what has a name says nothing.
fn sort(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(sort);
            items.sort_by_key(|item| item["name"].as_str().unwrap_or_default().to_owned());
        }
        Value::Object(members) => members.values_mut().for_each(sort),
        _ => {}
    }
}

struct Chart {
    folder: PathBuf,
    renderer: PathBuf,
}

impl Chart {
    fn new(work: &Path) -> Result<Self> {
        let renderer = work.join("chart");
        let mut build = Command::new("go");
        build
            .args(["build", "-o"])
            .arg(&renderer)
            .arg(repository().join("tests/programs/chart.go"))
            .env("GO111MODULE", "off")
            .env("CGO_ENABLED", "0")
            .env("GOCACHE", work.join("go-cache"));
        run(&mut build)?;
        Ok(Self {
            folder: repository().join("deploy/helm/tidewaiter"),
            renderer,
        })
    }

    /// With the values for an overlay; none has no name.
    fn render(&self, overlay: &str) -> Result<String> {
        let mut values = self.read("values.yaml")?;
        merge(&mut values, &json!({"namespace": {"create": true}}));
        if !overlay.is_empty() {
            merge(&mut values, &self.read(&format!("values-{overlay}.yaml"))?);
        }
        let chart = self.read("Chart.yaml")?;
        let input = json!({
            "Values": values,
            "Release": {"Name": "tidewaiter", "Namespace": NAMESPACE},
            "Chart": {"AppVersion": chart["appVersion"]},
        });
        let templates = fs::read_dir(self.folder.join("templates"))?
            .flatten()
            .map(|entry| entry.path());
        let mut renderer = Command::new(&self.renderer)
            .args(templates)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        // The program reads all of it before it writes.
        let mut stdin = renderer.stdin.take().context("the renderer's input is not connected")?;
        stdin.write_all(input.to_string().as_bytes())?;
        drop(stdin);
        let output = renderer.wait_with_output()?;
        ensure!(output.status.success(), "the chart cannot be rendered");
        Ok(String::from_utf8(output.stdout)?)
    }

    fn read(&self, name: &str) -> Result<Value> {
        let file = self.folder.join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("could not read `{}`", file.display()))?;
        Ok(serde_norway::from_str(&text)?)
    }
}

/// As Helm does: objects by their members, of which null removes one.
fn merge(values: &mut Value, changes: &Value) {
    match (values, changes) {
        (Value::Object(values), Value::Object(changes)) => {
            for (key, change) in changes {
                if change.is_null() {
                    values.remove(key);
                } else {
                    merge(values.entry(key.clone()).or_insert(Value::Null), change);
                }
            }
        }
        (value, change) => *value = change.clone(),
    }
}
