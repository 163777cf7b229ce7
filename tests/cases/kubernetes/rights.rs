//! The sensor with fewer rights, or more, and with less of the node than the base gives it.

use anyhow::Result;
use tests::cluster::{PodContainer, WEB_IMAGE};

use super::Case;
use super::deployed::{Changes, Deployed, NAMESPACE, Rights, SHOP, container};

pub(crate) const CASES: &[Case] = &[
    (
        "alerts_are_whole_with_bpf_and_perfmon_alone",
        alerts_are_whole_with_bpf_and_perfmon_alone,
    ),
    (
        "alerts_are_whole_for_a_user_who_is_not_root",
        alerts_are_whole_for_a_user_who_is_not_root,
    ),
    ("alerts_are_whole_with_every_right", alerts_are_whole_with_every_right),
    (
        "without_the_engines_folder_alerts_have_the_containers_id",
        without_the_engines_folder_alerts_have_the_containers_id,
    ),
    (
        "a_state_directory_that_cannot_be_written_is_named",
        a_state_directory_that_cannot_be_written_is_named,
    ),
    (
        "a_storm_of_arguments_is_survived_within_the_limit_of_memory",
        a_storm_of_arguments_is_survived_within_the_limit_of_memory,
    ),
];

const WEB: PodContainer<'static> = PodContainer {
    namespace: SHOP,
    pod: "web",
    container: "web",
};

fn run_web(deployed: &Deployed<'_>) -> Result<()> {
    deployed.run_pod("web", &format!("  containers:\n{}", container("web", WEB_IMAGE, "")))
}

/// With an overlay, what somebody installs by hand is told with its pod.
fn assert_alerts_are_whole(deployed: &Deployed<'_>, overlay: &str, rights: Rights) -> Result<()> {
    run_web(deployed)?;
    let old = deployed.pod()?;
    deployed.deploy(overlay, rights, &Changes::default())?;
    deployed.wait_for_another_pod(&old)?;
    let sensor = deployed.follow()?;
    let mut shell = deployed.cluster.shell(&WEB)?;
    shell.type_command("apt-get install -y curl")?;
    shell.leave()?;
    let alert = sensor.wait_for("whole alert of the installation", |alert| {
        let is_it = alert.rule() == "Tool installed by hand in a container";
        (is_it && alert.text("orchestrator.resource.name") == "web").then(|| alert.clone())
    })?;
    assert_eq!(alert.text("container.name"), "web");
    assert_eq!(alert.text("tidewaiter.container.metadata"), "complete");
    Ok(())
}

fn alerts_are_whole_with_bpf_and_perfmon_alone(deployed: &Deployed<'_>) -> Result<()> {
    assert_alerts_are_whole(deployed, "bpf-perfmon", Rights::OfRoot)
}

fn alerts_are_whole_for_a_user_who_is_not_root(deployed: &Deployed<'_>) -> Result<()> {
    assert_alerts_are_whole(deployed, "nonroot", Rights::OfFile)
}

fn alerts_are_whole_with_every_right(deployed: &Deployed<'_>) -> Result<()> {
    assert_alerts_are_whole(deployed, "privileged", Rights::OfRoot)
}

fn without_the_engines_folder_alerts_have_the_containers_id(deployed: &Deployed<'_>) -> Result<()> {
    run_web(deployed)?;
    let old = deployed.pod()?;
    let changes = Changes {
        pod: "volumes: [{name: engine, hostPath: {path: /run/no-engine}}]",
        ..Changes::default()
    };
    deployed.deploy("base", Rights::OfRoot, &changes)?;
    deployed.wait_for_another_pod(&old)?;
    let sensor = deployed.follow()?;
    let alert = sensor.fence(|number| deployed.cluster.exec(&WEB, &["/usr/bin/fence", number]).map(drop))?;
    let id = "--output=jsonpath={.status.containerStatuses[0].containerID}";
    let id = deployed.cluster.ask(&["-n", SHOP, "get", "pod", "web", id])?;
    assert_eq!(format!("containerd://{}", alert.text("container.id")), id);
    Ok(())
}

fn a_state_directory_that_cannot_be_written_is_named(deployed: &Deployed<'_>) -> Result<()> {
    let old = deployed.pod()?;
    let changes = Changes {
        container: "volumeMounts: [{name: state, mountPath: /var/lib/tidewaiter, readOnly: true}]",
        ..Changes::default()
    };
    deployed.deploy("base", Rights::OfRoot, &changes)?;
    deployed.wait_for_another_pod(&old)?;
    let pod = deployed.pod()?;
    let told = "state directory: /var/lib/tidewaiter cannot be written: Read-only file system";
    deployed.cluster.wait_for(
        "the sensor does not say why it ends",
        &["-n", NAMESPACE, "logs", &pod],
        |log| log.contains(told).then_some(()),
    )
}

/// Programs with as many arguments as fit, as fast as can be, from a pod.
fn a_storm_of_arguments_is_survived_within_the_limit_of_memory(deployed: &Deployed<'_>) -> Result<()> {
    const ROUNDS: usize = 3;
    run_web(deployed)?;
    let old = deployed.pod()?;
    deployed.deploy("base", Rights::OfRoot, &Changes::default())?;
    deployed.wait_for_another_pod(&old)?;
    let sensor = deployed.follow()?;
    let pod = deployed.pod()?;
    let storm = container(
        "storm",
        WEB_IMAGE,
        r#"command: [/usr/bin/attacker, arguments, "31000", "0", "2"]"#,
    );
    deployed.run_pod("storm", &format!("  containers:\n{storm}"))?;
    deployed.cluster.wait_for(
        "the storm has too few rounds",
        &["-n", SHOP, "logs", "storm"],
        |lines| (lines.lines().count() >= ROUNDS).then_some(()),
    )?;
    deployed.cluster.delete(SHOP, "pod", "storm")?;
    let alert = sensor.fence(|number| deployed.cluster.exec(&WEB, &["/usr/bin/fence", number]).map(drop))?;
    assert_eq!(alert.rule(), "Fence");
    let restarts = "--output=jsonpath={.status.containerStatuses[0].restartCount}";
    assert_eq!(
        deployed.cluster.ask(&["-n", NAMESPACE, "get", "pod", &pod, restarts])?,
        "0"
    );
    Ok(())
}
