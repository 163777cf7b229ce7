//! Somebody opens a shell in a pod, or runs something there.

use anyhow::{Result, ensure};
use tests::cluster::{DEBUG_IMAGE, PodContainer, WEB_IMAGE};
use tests::document::Document;

use super::Case;
use super::deployed::{Deployed, SHOP, container};

pub(crate) const CASES: &[Case] = &[
    (
        "a_shell_in_a_pod_of_two_containers_is_told_with_its_container_and_pod",
        a_shell_in_a_pod_of_two_containers_is_told_with_its_container_and_pod,
    ),
    (
        "what_runs_in_a_pod_without_a_terminal_is_not_interactive",
        what_runs_in_a_pod_without_a_terminal_is_not_interactive,
    ),
    (
        "a_shell_in_an_ephemeral_container_is_told_with_its_name",
        a_shell_in_an_ephemeral_container_is_told_with_its_name,
    ),
    (
        "a_program_from_an_empty_dir_is_told_as_foreign_with_its_pod",
        a_program_from_an_empty_dir_is_told_as_foreign_with_its_pod,
    ),
    (
        "a_pods_start_at_a_terminal_is_a_session_only_where_somebody_can_type",
        a_pods_start_at_a_terminal_is_a_session_only_where_somebody_can_type,
    ),
    (
        "exec_probes_stay_quiet_for_a_minute",
        exec_probes_stay_quiet_for_a_minute,
    ),
];

const TWO: [PodContainer<'static>; 2] = [
    PodContainer {
        namespace: SHOP,
        pod: "two",
        container: "web",
    },
    PodContainer {
        namespace: SHOP,
        pod: "two",
        container: "side",
    },
];

fn run_two(deployed: &Deployed<'_>) -> Result<()> {
    let containers = container("web", WEB_IMAGE, "") + &container("side", DEBUG_IMAGE, "");
    deployed.run_pod("two", &format!("  containers:\n{containers}"))
}

/// Rule, program, whether interactive, and where; the alerts of one pod, sorted.
fn described(alerts: &[Document], pod: &str) -> Vec<String> {
    let own = alerts.iter().filter(|alert| alert.text("kubernetes.pod.name") == pod);
    let mut described: Vec<String> = own
        .map(|alert| {
            let text = |field| alert.text(field);
            format!(
                "{}: {} ({}) in {} of {}/{} on {} of {}",
                alert.rule(),
                text("process.name"),
                text("process.interactive"),
                text("container.name"),
                text("orchestrator.namespace"),
                text("orchestrator.resource.name"),
                text("kubernetes.node.name"),
                text("container.image.name"),
            )
        })
        .collect();
    described.sort();
    described
}

fn a_shell_in_a_pod_of_two_containers_is_told_with_its_container_and_pod(deployed: &Deployed<'_>) -> Result<()> {
    run_two(deployed)?;
    let sensor = deployed.follow()?;
    let [_, side] = &TWO;
    let mut shell = deployed.cluster.shell(side)?;
    shell.type_command("apt-get install -y curl")?;
    shell.leave()?;
    let alerts = deployed.alerts_until_now(&sensor, side)?;
    let address = deployed
        .cluster
        .ask(&["-n", SHOP, "get", "pod", "two", "--output=jsonpath={.status.podIP}"])?;
    ensure!(!address.is_empty(), "the pod has no address");
    for alert in alerts.iter().filter(|alert| alert.text("kubernetes.pod.name") == "two") {
        assert_eq!(alert.text("kubernetes.pod.ip"), address);
        assert_eq!(alert.text("orchestrator.resource.ip"), address);
    }
    let place = "in side of shop/two on node-1 of registry.example/tools/debug";
    assert_eq!(
        described(&alerts, "two"),
        [
            format!("Interactive shell opened in a container: sh (true) {place}"),
            format!("Program new to interactive sessions in containers: sh (true) {place}"),
            format!("Tool installed by hand in a container: apt-get (true) {place}"),
        ]
    );
    Ok(())
}

fn what_runs_in_a_pod_without_a_terminal_is_not_interactive(deployed: &Deployed<'_>) -> Result<()> {
    run_two(deployed)?;
    let sensor = deployed.follow()?;
    let before = sensor.alerts_so_far().len();
    let [web, _] = &TWO;
    deployed
        .cluster
        .exec(web, &["/bin/sh", "-c", "apt-get install -y curl; :"])?;
    let fence = sensor.fence(|number| deployed.cluster.exec(web, &["/usr/bin/fence", number]).map(drop))?;
    assert_eq!(fence.text("process.interactive"), "false");
    assert_eq!(fence.text("container.name"), "web");
    let alerts: Vec<Document> = sensor.alerts_so_far().split_off(before);
    let others = alerts.iter().filter(|alert| alert.rule() != "Fence");
    let in_web = others.filter(|alert| alert.text("container.id") == fence.text("container.id"));
    assert_eq!(in_web.map(Document::rule).collect::<Vec<_>>(), [""; 0]);
    Ok(())
}

fn a_shell_in_an_ephemeral_container_is_told_with_its_name(deployed: &Deployed<'_>) -> Result<()> {
    run_two(deployed)?;
    let sensor = deployed.follow()?;
    let image = format!("--image={DEBUG_IMAGE}");
    let arguments = [
        "-n",
        SHOP,
        "debug",
        "two",
        "--container=looking",
        &image,
        "--image-pull-policy=Never",
    ];
    let script = ["--", "/bin/sh", "-c", "/usr/bin/fence ephemeral; exec sleep infinity"];
    tests::program::run(deployed.cluster.kubectl(&arguments).args(script))?;
    let alert = deployed.fence_alert(&sensor, "ephemeral")?;
    assert_eq!(alert.text("container.name"), "looking");
    assert_eq!(alert.text("orchestrator.resource.name"), "two");
    assert_eq!(alert.text("orchestrator.namespace"), SHOP);
    Ok(())
}

/// Pods whose root is read-only have one at `/tmp`.
fn a_program_from_an_empty_dir_is_told_as_foreign_with_its_pod(deployed: &Deployed<'_>) -> Result<()> {
    let spec = "  volumes: [{name: tmp, emptyDir: {}}]\n  containers:\n".to_owned()
        + &container(
            "web",
            WEB_IMAGE,
            "securityContext: {readOnlyRootFilesystem: true}, volumeMounts: [{name: tmp, mountPath: /tmp}]",
        );
    deployed.run_pod("hardened", &spec)?;
    let sensor = deployed.follow()?;
    let web = PodContainer {
        namespace: SHOP,
        pod: "hardened",
        container: "web",
    };
    let copied = "busybox cp /usr/bin/ordinary /tmp/dropped && /tmp/dropped";
    deployed.cluster.exec(&web, &["/bin/sh", "-c", copied])?;
    let alert = sensor.wait_for("alert of the dropped program", |alert| {
        (alert.text("process.executable") == "/tmp/dropped").then(|| alert.clone())
    })?;
    assert_eq!(alert.text("orchestrator.resource.name"), "hardened");
    Ok(())
}

fn a_pods_start_at_a_terminal_is_a_session_only_where_somebody_can_type(deployed: &Deployed<'_>) -> Result<()> {
    let sensor = deployed.follow()?;
    let start = "command: ['/bin/sh', '-c', '/usr/bin/apt-get install -y curl; exec sleep infinity'], tty: true";
    for (name, more) in [("unattended", ""), ("attended", ", stdin: true")] {
        let spec = container("web", WEB_IMAGE, &format!("{start}{more}"));
        deployed.run_pod(name, &format!("  containers:\n{spec}"))?;
        let place = PodContainer {
            namespace: SHOP,
            pod: name,
            container: "web",
        };
        // Judged after what the start did, for both wait for the engine.
        let mut shell = deployed.cluster.shell(&place)?;
        shell.type_command("apt-get install -y wget")?;
        shell.leave()?;
        let came_in = "apt-get install -y wget";
        sensor.wait_for("alert of what came in", |alert| {
            let is_it = alert.text("kubernetes.pod.name") == name && alert.text("process.command_line") == came_in;
            is_it.then_some(())
        })?;
        let alerts = sensor.alerts_so_far();
        let is_of_start = |alert: &&Document| {
            alert.text("kubernetes.pod.name") == name && alert.text("process.command_line").contains("curl")
        };
        assert_eq!(
            alerts.iter().any(|alert| is_of_start(&alert)),
            name == "attended",
            "{name}"
        );
    }
    Ok(())
}

/// Probes run a shell each second, as many do, or ask a port with the tools that an attacker uses too.
fn exec_probes_stay_quiet_for_a_minute(deployed: &Deployed<'_>) -> Result<()> {
    const PROBES: usize = 60;
    let probe = r#"livenessProbe: {exec: {command: ["/bin/sh", "-c", "/usr/bin/ordinary && echo probed >>/tmp/probes"]}, periodSeconds: 1, timeoutSeconds: 10}, readinessProbe: {exec: {command: ["/usr/bin/ordinary"]}, periodSeconds: 1, timeoutSeconds: 10}"#;
    // Nothing listens, which is all the same to the rules.
    let asking = r#"livenessProbe: {exec: {command: ["/bin/sh", "-c", "busybox wget -q -T 2 -O /dev/null http://127.0.0.1:8080/healthz || busybox wget -q --spider http://localhost:8080/; true"]}, periodSeconds: 1, timeoutSeconds: 10}, readinessProbe: {exec: {command: ["/bin/sh", "-c", "busybox nc -z -w 2 127.0.0.1 8080 || true"]}, periodSeconds: 1, timeoutSeconds: 10}"#;
    let containers = container("web", WEB_IMAGE, probe) + &container("asked", WEB_IMAGE, asking);
    deployed.run_pod("probed", &format!("  containers:\n{containers}"))?;
    let sensor = deployed.follow()?;
    let web = PodContainer {
        namespace: SHOP,
        pod: "probed",
        container: "web",
    };
    tests::engine::retry("there are not as many probes", || {
        let probes = deployed
            .cluster
            .exec(&web, &["/bin/busybox", "wc", "-l", "/tmp/probes"])
            .ok()?;
        let count: usize = probes.split_whitespace().next()?.parse().ok()?;
        (count >= PROBES).then_some(())
    })?;
    let alerts = deployed.alerts_until_now(&sensor, &web)?;
    assert_eq!(described(&alerts, "probed"), [""; 0]);
    Ok(())
}
