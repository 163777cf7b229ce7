//! Parts of the cluster, and the sensor itself, end and come again.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use tests::cluster::{Daemon, PodContainer, WEB_IMAGE};
use tests::engine::retry;
use tests::sensor::Sensor;

use super::Case;
use super::deployed::{Changes, Deployed, NAMESPACE, Rights, SHOP, container};

pub(crate) const CASES: &[Case] = &[
    (
        "a_changed_config_map_is_taken_by_the_running_sensor_and_a_wrong_one_is_not",
        a_changed_config_map_is_taken_by_the_running_sensor_and_a_wrong_one_is_not,
    ),
    (
        "after_a_restart_of_the_engine_containers_are_known_still_and_new_ones_too",
        after_a_restart_of_the_engine_containers_are_known_still_and_new_ones_too,
    ),
    (
        "after_a_restart_of_the_kubelet_new_pods_are_known",
        after_a_restart_of_the_kubelet_new_pods_are_known,
    ),
    (
        "a_shell_that_was_open_when_the_sensors_pod_was_deleted_is_watched_again",
        a_shell_that_was_open_when_the_sensors_pod_was_deleted_is_watched_again,
    ),
    (
        "a_shell_that_was_open_when_the_sensor_was_updated_is_watched_by_the_new_one",
        a_shell_that_was_open_when_the_sensor_was_updated_is_watched_by_the_new_one,
    ),
];

const WEB: PodContainer<'static> = PodContainer {
    namespace: SHOP,
    pod: "web",
    container: "web",
};

fn run_pod(deployed: &Deployed<'_>, name: &str) -> Result<()> {
    deployed.run_pod(name, &format!("  containers:\n{}", container("web", WEB_IMAGE, "")))
}

/// Of the fence in a pod's container, as soon as something can be run there.
fn assert_is_known(deployed: &Deployed<'_>, sensor: &Sensor, pod: &str) -> Result<()> {
    let place = PodContainer { pod, ..WEB };
    static WORDS: AtomicU32 = AtomicU32::new(0);
    let word = format!("known-{}", WORDS.fetch_add(1, Ordering::Relaxed));
    retry("nothing can be run in the pod", || {
        deployed.cluster.exec(&place, &["/usr/bin/fence", &word]).ok()
    })?;
    let alert = deployed.fence_alert(sensor, &word)?;
    assert_eq!(alert.text("orchestrator.resource.name"), pod);
    Ok(())
}

fn after_a_restart_of_the_engine_containers_are_known_still_and_new_ones_too(deployed: &Deployed<'_>) -> Result<()> {
    run_pod(deployed, "web")?;
    deployed.cluster.crash_daemon(Daemon::Containerd)?;
    deployed.cluster.start_daemon(Daemon::Containerd)?;
    run_pod(deployed, "after-engine")?;
    let sensor = deployed.follow()?;
    assert_is_known(deployed, &sensor, "web")?;
    assert_is_known(deployed, &sensor, "after-engine")
}

fn after_a_restart_of_the_kubelet_new_pods_are_known(deployed: &Deployed<'_>) -> Result<()> {
    deployed.cluster.crash_daemon(Daemon::Kubelet)?;
    deployed.cluster.start_daemon(Daemon::Kubelet)?;
    run_pod(deployed, "after-kubelet")?;
    let sensor = deployed.follow()?;
    assert_is_known(deployed, &sensor, "after-kubelet")
}

fn a_changed_config_map_is_taken_by_the_running_sensor_and_a_wrong_one_is_not(deployed: &Deployed<'_>) -> Result<()> {
    const RULE: &str = r#"
[rule]
name = "Ordinary"
description = "Tells of a program that no other rule names."
rule_id = "0d1f4f5a-7f55-4b7e-9d43-1a1d3a9c5e03"
risk_score = 1
severity = "low"
type = "eql"
language = "eql"
query = 'process where event.action == "exec" and process.name == "ordinary"'
"#;
    run_pod(deployed, "web")?;
    let pod = deployed.pod()?;
    let sensor = deployed.follow()?;
    let change = |rules| {
        let changes = Changes {
            rules,
            ..Changes::default()
        };
        deployed.deploy("base", Rights::OfRoot, &changes)
    };
    change(RULE)?;
    retry("the new rule raises no alert", || {
        deployed.cluster.exec(&WEB, &["/usr/bin/ordinary"]).ok()?;
        let alerts = sensor.alerts_so_far();
        alerts.iter().any(|alert| alert.rule() == "Ordinary").then_some(())
    })?;
    change("[rule]\nname = 1\n")?;
    let ready = "--output=jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    let question = ["-n", NAMESPACE, "get", "pod", &pod, ready];
    let is_unready = |answer: &str| (answer == "False").then_some(());
    deployed
        .cluster
        .wait_for("the sensor is ready with a wrong rule", &question, is_unready)?;
    let is_told = |line: &str| line.contains("more.toml").then_some(());
    sensor.diagnostics.wait_for("word of the wrong rule", is_told)?;
    assert_is_known(deployed, &sensor, "web")?;
    change("")?;
    deployed.cluster.wait_for_running(NAMESPACE, &pod)?;
    assert_eq!(deployed.pod()?, pod);
    Ok(())
}

/// What is typed into a shell after the sensor was replaced.
fn assert_is_watched_over(deployed: &Deployed<'_>, replace: impl FnOnce() -> Result<()>) -> Result<()> {
    run_pod(deployed, "web")?;
    let old = deployed.pod()?;
    let mut shell = deployed.cluster.shell(&WEB)?;
    shell.type_command("ordinary")?;
    replace()?;
    deployed.wait_for_another_pod(&old)?;
    let sensor = deployed.follow()?;
    shell.type_command("apt-get install -y curl")?;
    let alert = sensor.wait_for("alert of the installation", |alert| {
        (alert.rule() == "Tool installed by hand in a container").then(|| alert.clone())
    })?;
    shell.leave()?;
    assert_eq!(alert.text("orchestrator.resource.name"), "web");
    assert_eq!(alert.text("process.parent.executable"), "/bin/sh");
    assert_eq!(alert.text("process.entry_leader.executable"), "/bin/sh");
    Ok(())
}

fn a_shell_that_was_open_when_the_sensors_pod_was_deleted_is_watched_again(deployed: &Deployed<'_>) -> Result<()> {
    let old = deployed.pod()?;
    assert_is_watched_over(deployed, || {
        let delete = ["-n", NAMESPACE, "delete", "pod", &old, "--wait=false"];
        deployed.cluster.ask(&delete).map(drop)
    })
}

fn a_shell_that_was_open_when_the_sensor_was_updated_is_watched_by_the_new_one(deployed: &Deployed<'_>) -> Result<()> {
    let changes = Changes {
        container: "env: [{name: TIDEWAITER_UPDATED, value: again}]",
        ..Changes::default()
    };
    assert_is_watched_over(deployed, || deployed.deploy("base", Rights::OfRoot, &changes))
}
