//! Whose a pod is: what made it, by the names that pods of each kind bear.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Result;
use tests::cluster::{DEBUG_IMAGE, NODE, PodContainer, WEB_IMAGE};
use tests::document::Document;

use super::Case;
use super::deployed::{Deployed, SHOP, container};

pub(crate) const CASES: &[Case] = &[
    (
        "each_pod_of_a_burst_of_short_ones_is_told_with_its_job",
        each_pod_of_a_burst_of_short_ones_is_told_with_its_job,
    ),
    (
        "pods_are_told_with_what_made_them_whatever_the_length_of_its_name",
        pods_are_told_with_what_made_them_whatever_the_length_of_its_name,
    ),
    ("a_static_pod_is_told_with_its_node", a_static_pod_is_told_with_its_node),
    (
        "containers_that_share_a_process_namespace_and_those_before_them_are_told_apart",
        containers_that_share_a_process_namespace_and_those_before_them_are_told_apart,
    ),
];

/// A container that raises an alert with this word at its start, and then sleeps.
fn fencing(word: &str) -> String {
    let command = format!("command: ['/bin/sh', '-c', '/usr/bin/fence {word}; exec sleep infinity']");
    container("web", WEB_IMAGE, &command)
}

fn each_pod_of_a_burst_of_short_ones_is_told_with_its_job(deployed: &Deployed<'_>) -> Result<()> {
    const PODS: usize = 20;
    let sensor = deployed.follow()?;
    deployed.cluster.apply(&format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: burst, namespace: {SHOP}}}\nspec:\n  completions: {PODS}\n  \
         parallelism: 10\n  template:\n    spec:\n      restartPolicy: Never\n      containers:\n    {}",
        container("once", WEB_IMAGE, "command: [/usr/bin/fence, burst]"),
    ))?;
    let mut pods = BTreeSet::new();
    let mut other_owners = BTreeSet::new();
    sensor.wait_for("alert of each pod", |alert| {
        if alert.text("process.args").contains("burst") && alert.text("container.name") == "once" {
            pods.insert(alert.text("orchestrator.resource.name"));
            if alert.text("kubernetes.job.name") != "burst" {
                other_owners.insert(alert.text("kubernetes.job.name"));
            }
        }
        (pods.len() == PODS).then_some(())
    })?;
    assert_eq!(other_owners, BTreeSet::new());
    assert!(pods.iter().all(|pod| pod.starts_with("burst-")), "{pods:?}");
    deployed.cluster.delete(SHOP, "job", "burst")
}

fn workload(kind: &str, name: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {SHOP}}}\nspec:\n  {more}\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
         terminationGracePeriodSeconds: 1\n      containers:\n    {}---\n",
        fencing(name)
    )
}

fn pods_are_told_with_what_made_them_whatever_the_length_of_its_name(deployed: &Deployed<'_>) -> Result<()> {
    const LONG_DEPLOYMENT: &str = "payments-reconciliation-worker-for-the-european-region-a";
    const LONG_DAEMON_SET: &str = "node-local-collector-of-metrics-for-the-european-region-bbbb";
    let sensor = deployed.follow()?;
    let workloads = [
        ("Deployment", "front-end", "replicas: 1"),
        ("Deployment", LONG_DEPLOYMENT, "replicas: 1"),
        ("DaemonSet", "collector", ""),
        ("DaemonSet", LONG_DAEMON_SET, ""),
        ("StatefulSet", "db", "serviceName: db"),
    ];
    let manifest = workloads.map(|(kind, name, more)| workload(kind, name, more)).concat();
    let nightly = format!(
        "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {{name: nightly, namespace: {SHOP}}}\nspec:\n  \
         schedule: '* * * * *'\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          \
         restartPolicy: Never\n          containers:\n        {}",
        container("web", WEB_IMAGE, "command: [/usr/bin/fence, nightly]")
    );
    deployed.cluster.apply(&(manifest + &nightly))?;
    for (kind, name, _) in workloads {
        let alert = deployed.fence_alert(&sensor, name)?;
        // Of the longest one, its pods' names hold the beginning alone.
        let told = if name == LONG_DAEMON_SET { "" } else { name };
        assert_eq!(owner(&alert), format!("{kind} {told}"));
    }
    let alert = deployed.fence_alert(&sensor, "nightly")?;
    assert_eq!(alert.text("kubernetes.cronjob.name"), "nightly");
    assert!(alert.text("kubernetes.job.name").starts_with("nightly-"));
    for (kind, name, _) in workloads {
        deployed.cluster.delete(SHOP, kind, name)?;
    }
    deployed.cluster.delete(SHOP, "cronjob", "nightly")
}

/// Its kind and name.
fn owner(alert: &Document) -> String {
    let kind = alert.text("orchestrator.resource.parent.type");
    let name = alert.text(&format!("kubernetes.{}.name", kind.to_lowercase()));
    format!("{kind} {name}")
}

/// The kubelet makes it without being asked by anybody.
fn a_static_pod_is_told_with_its_node(deployed: &Deployed<'_>) -> Result<()> {
    let sensor = deployed.follow()?;
    let file = deployed.cluster.path().join("static/static.yaml");
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: static, namespace: kube-system}}\nspec:\n  \
         terminationGracePeriodSeconds: 1\n  containers:\n{}",
        fencing("static")
    );
    fs::write(&file, manifest)?;
    let alert = deployed.fence_alert(&sensor, "static")?;
    assert_eq!(alert.text("orchestrator.resource.name"), format!("static-{NODE}"));
    assert_eq!(alert.text("orchestrator.namespace"), "kube-system");
    assert_eq!(alert.text("kubernetes.pod.uid"), "", "the mirror pod's is another");
    let hash = r"--output=jsonpath={.metadata.annotations.kubernetes\.io/config\.hash}";
    let pod = format!("static-{NODE}");
    deployed.cluster.wait_for(
        "the mirror pod does not have the hash that is told",
        &["-n", "kube-system", "get", "pod", &pod, hash],
        |hash| (alert.text("orchestrator.resource.id") == hash).then_some(()),
    )?;
    fs::remove_file(file)?;
    Ok(())
}

fn containers_that_share_a_process_namespace_and_those_before_them_are_told_apart(
    deployed: &Deployed<'_>,
) -> Result<()> {
    let sensor = deployed.follow()?;
    let spec = format!(
        "  shareProcessNamespace: true\n  initContainers:\n{}  containers:\n{}{}",
        container("first", DEBUG_IMAGE, "command: [/usr/bin/fence, before-others]"),
        fencing("beside-others"),
        container("side", DEBUG_IMAGE, ""),
    );
    deployed.run_pod("shared", &spec)?;
    let before = deployed.fence_alert(&sensor, "before-others")?;
    let beside = deployed.fence_alert(&sensor, "beside-others")?;
    let side = PodContainer {
        namespace: SHOP,
        pod: "shared",
        container: "side",
    };
    let in_side = sensor.fence(|number| deployed.cluster.exec(&side, &["/usr/bin/fence", number]).map(drop))?;
    let containers = [&before, &beside, &in_side].map(|alert| alert.text("container.name"));
    assert_eq!(containers, ["first", "web", "side"]);
    // None of them is the first in its process namespace, and none was started by hand.
    let alerts = deployed.alerts_until_now(&sensor, &side)?;
    let of_pod = alerts
        .iter()
        .filter(|alert| alert.text("kubernetes.pod.name") == "shared");
    assert_eq!(of_pod.map(Document::rule).collect::<Vec<_>>(), [""; 0]);
    Ok(())
}
