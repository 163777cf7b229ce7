//! The sensor as the repository's manifests deploy it, changed as little as a test needs: images that are on the node
//! already, the fence, and nothing to learn first.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};
use tests::cluster::{Cluster, PodContainer, sensor_image};
use tests::document::Document;
use tests::engine::retry;
use tests::program::repository;
use tests::sensor::{FENCE_RULE, Sensor};

pub(crate) use tests::cluster::Rights;

/// Of the sensor.
pub(crate) const NAMESPACE: &str = "tidewaiter";
/// Of what it watches.
pub(crate) const SHOP: &str = "shop";

/// The sensor in a cluster.
pub(crate) struct Deployed<'a> {
    pub(crate) cluster: &'a Cluster,
}

/// What a test changes of the manifests.
#[derive(Default)]
pub(crate) struct Changes<'a> {
    /// Patches of the DaemonSet's container, as YAML in one line.
    pub(crate) container: &'a str,
    /// And of its pod.
    pub(crate) pod: &'a str,
    /// The text of another file of rules.
    pub(crate) rules: &'a str,
}

impl<'a> Deployed<'a> {
    /// With the rights that the base gives.
    pub(crate) fn new(cluster: &'a Cluster) -> Result<Self> {
        let deployed = Self { cluster };
        cluster.apply(&format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {SHOP}}}\n"
        ))?;
        deployed.deploy("base", Rights::OfRoot, &Changes::default())?;
        drop(deployed.follow()?);
        Ok(deployed)
    }

    /// Applies an overlay. What runs already is replaced, if this changes it.
    pub(crate) fn deploy(&self, overlay: &str, rights: Rights, changes: &Changes<'_>) -> Result<()> {
        let manifest = self.cluster.kustomize(&self.kustomization(overlay, rights, changes)?)?;
        self.cluster.apply(&manifest)
    }

    /// A folder that changes an overlay.
    fn kustomization(&self, overlay: &str, rights: Rights, changes: &Changes<'_>) -> Result<PathBuf> {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = self.cluster.path().join("manifests").join(number.to_string());
        fs::create_dir(&folder)?;
        let manifests = repository().join("deploy/kubernetes");
        let base = if overlay == "base" {
            manifests.join("base")
        } else {
            manifests.join("overlays").join(overlay)
        };
        let old_kubernetes = manifests.join("overlays/kubernetes-1.21/patch.yaml");
        fs::copy(old_kubernetes, folder.join("old-kubernetes.yaml"))?;
        fs::write(folder.join("fence.toml"), FENCE_RULE)?;
        fs::write(
            folder.join("tidewaiter.toml"),
            "learn_for = \"0s\"\nheartbeat = \"5s\"\n[containers]\ncluster_name = \"own\"\n",
        )?;
        let Changes { container, pod, rules } = changes;
        fs::write(folder.join("more.toml"), rules)?;
        let more = if rules.is_empty() { "" } else { ", more.toml" };
        fs::write(
            folder.join("changes.yaml"),
            format!(
                "apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: tidewaiter, namespace: tidewaiter}}
spec:
  template:
    spec:
      terminationGracePeriodSeconds: 5
      {pod}
      containers:
      - name: tidewaiter
        image: {}
        imagePullPolicy: Never
        readinessProbe: {{periodSeconds: 1}}
        {container}
",
                sensor_image(rights)
            ),
        )?;
        fs::write(
            folder.join("kustomization.yaml"),
            format!(
                "bases: [{}]
patchesStrategicMerge: [old-kubernetes.yaml, changes.yaml]
generatorOptions: {{disableNameSuffixHash: true}}
configMapGenerator:
- {{name: tidewaiter, namespace: tidewaiter, behavior: merge, files: [tidewaiter.toml]}}
- {{name: tidewaiter-rules, namespace: tidewaiter, behavior: merge, files: [fence.toml{more}]}}
",
                relative(&folder, &base).display()
            ),
        )?;
        Ok(folder)
    }

    /// The one pod of the sensor that is to stay.
    pub(crate) fn pod(&self) -> Result<String> {
        let label = "app.kubernetes.io/name=tidewaiter";
        let template = "--output=go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}}{{end}}{{end}}";
        let question = ["-n", NAMESPACE, "get", "pods", "--selector", label, template];
        self.cluster
            .wait_for("there is no pod of the sensor", &question, |name| {
                (!name.is_empty()).then(|| name.to_owned())
            })
    }

    /// What the sensor that runs has written and writes.
    pub(crate) fn follow(&self) -> Result<Sensor> {
        let pod = self.pod()?;
        self.cluster.wait_for_running(NAMESPACE, &pod)?;
        self.cluster.follow(NAMESPACE, &pod).with_context(|| {
            let arguments = ["-n", NAMESPACE, "describe", "pod", &pod];
            self.cluster.ask(&arguments).unwrap_or_default()
        })
    }

    /// The alerts of what happened until now, with the fence run in this container.
    pub(crate) fn alerts_until_now(&self, sensor: &Sensor, place: &PodContainer<'_>) -> Result<Vec<Document>> {
        sensor.alerts_until_now(|number| self.cluster.exec(place, &["/usr/bin/fence", number]).map(drop))
    }

    /// Makes a pod of the namespace [`SHOP`] and waits until it runs. `spec` is YAML, indented as below `spec:`.
    pub(crate) fn run_pod(&self, name: &str, spec: &str) -> Result<()> {
        self.cluster.apply(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {SHOP}, labels: {{app: {name}}}}}\nspec:\n  \
             terminationGracePeriodSeconds: 1\n{spec}"
        ))?;
        self.cluster.wait_for_running(SHOP, name)
    }

    /// Waits until a new pod of the sensor has taken an old one's place.
    ///
    /// The new one is made once the old one is removed, and a kubelet of this age at times takes more than a minute to find
    /// out that a container has ended which it was to end; so this says it in its stead, as soon as that has no more to say.
    pub(crate) fn wait_for_another_pod(&self, old: &str) -> Result<()> {
        let until_it_ends = [
            "-n",
            NAMESPACE,
            "logs",
            "--follow",
            "--tail=1",
            "--request-timeout=60s",
            old,
        ];
        let ended = self.cluster.kubectl(&until_it_ends).output()?;
        let removed_from = "--output=jsonpath={.metadata.deletionTimestamp}";
        let is_to_end = self.cluster.ask(&["-n", NAMESPACE, "get", "pod", old, removed_from]);
        if ended.status.success() && is_to_end.is_ok_and(|time| !time.is_empty()) {
            // Or it is removed just now.
            let _ = self.cluster.delete(NAMESPACE, "pod", old);
        }
        retry("the sensor's pod is not replaced", || {
            self.pod().ok().filter(|pod| pod != old)
        })
        .map(drop)
    }

    /// The alert, with all that is known of the container, of the fence that was run with this word.
    pub(crate) fn fence_alert(&self, sensor: &Sensor, word: &str) -> Result<Document> {
        let word = format!("\"{word}\"");
        sensor.wait_for(&format!("whole alert of {word}"), |alert| {
            let is_whole = alert.text("tidewaiter.container.metadata") == "complete";
            (is_whole && alert.text("process.args").contains(&word)).then(|| alert.clone())
        })
    }

    /// What a person types to look into the cluster.
    pub(crate) fn kubectl_line(&self) -> String {
        let kubectl = self.cluster.kubectl(&["get", "pods", "--all-namespaces"]);
        let words = [kubectl.get_program()].into_iter().chain(kubectl.get_args());
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }
}

/// A container of a pod's manifest; `more` is YAML within braces.
pub(crate) fn container(name: &str, image: &str, more: &str) -> String {
    format!("  - {{name: {name}, image: '{image}', imagePullPolicy: Never, {more}}}\n")
}

/// A path from one folder to another, as kustomize wants it.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let up = from.components().skip(1).map(|_| "..");
    let down = to.components().skip(1).map(|part| part.as_os_str());
    up.map(Into::into).chain(down.map(ToOwned::to_owned)).collect()
}
