//! What the parts of a cluster are told: how the node is prepared, configuration files, command lines.

use std::path::Path;

use super::{Daemon, NODE, NODE_ADDRESS};

/// A shell's script for the cluster's namespaces; its argument is the cluster's folder.
///
/// A kubelet sets some of the kernel's settings. Here it finds files with the values that it wants in their place, so that
/// the machine's stay as they are.
pub(super) const PREPARE: &str = r#"set -e
folder=$1
mount -t tmpfs -o mode=755 tmpfs /var/log
mkdir -p /var/lib/tidewaiter /var/lib/kubelet /run/settings
mount --bind "$folder/state" /var/lib/tidewaiter
for setting in vm/overcommit_memory:1 vm/panic_on_oom:0 kernel/panic:10 kernel/panic_on_oops:1 \
    kernel/keys/root_maxkeys:1000000 kernel/keys/root_maxbytes:25000000; do
    file=/run/settings/$(basename "${setting%:*}")
    echo "${setting#*:}" >"$file"
    mount --bind "$file" "/proc/sys/${setting%:*}"
done
busybox brctl addbr node0
busybox ip addr add 10.111.0.1/24 dev node0
busybox ip link set node0 up
openssl genrsa -out "$folder/pki/accounts.key" 2048 2>/dev/null
openssl rsa -in "$folder/pki/accounts.key" -pubout -out "$folder/pki/accounts.pub" 2>/dev/null
"#;

/// Names and texts of the files in the cluster's folder.
pub(super) fn all(folder: &Path) -> Vec<(String, String)> {
    let users = ["admin", "controller-manager", "scheduler", "kubelet"];
    let mut files = vec![
        ("containerd.toml".to_owned(), containerd(folder)),
        ("kubelet.yaml".to_owned(), kubelet(folder)),
        ("network.conflist".to_owned(), network(folder)),
        (
            "pki/tokens.csv".to_owned(),
            users
                .map(|user| format!("token-{user},{},{user},system:masters\n", account(user)))
                .concat(),
        ),
    ];
    files.extend(users.map(|user| {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: own\n\
             clusters: [{{name: own, cluster: {{server: 'https://{NODE_ADDRESS}:6443', insecure-skip-tls-verify: true}}}}]\n\
             users: [{{name: {user}, user: {{token: token-{user}}}}}]\n\
             contexts: [{{name: own, context: {{cluster: own, user: {user}}}}}]\n"
        );
        (format!("{user}.kubeconfig"), text)
    }));
    files
}

fn account(user: &str) -> String {
    match user {
        "admin" => user.to_owned(),
        "kubelet" => format!("system:node:{NODE}"),
        part => format!("system:kube-{part}"),
    }
}

fn containerd(folder: &Path) -> String {
    format!(
        r#"version = 2
root = {root:?}
[plugins."io.containerd.internal.v1.opt"]
  path = {opt:?}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{sandbox}"
  # The score cannot be lowered everywhere.
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = {folder:?}
"#,
        root = folder.join("containerd"),
        opt = folder.join("opt"),
        sandbox = super::images::SANDBOX_IMAGE,
    )
}

fn network(folder: &Path) -> String {
    format!(
        r#"{{"cniVersion": "0.4.0", "name": "pods", "plugins": [{{"type": "bridge", "bridge": "node0", "ipam": {{
    "type": "host-local", "dataDir": {addresses:?},
    "ranges": [[{{"subnet": "10.111.0.0/24", "rangeStart": "10.111.0.10", "gateway": "{NODE_ADDRESS}"}}]],
    "routes": [{{"dst": "10.111.0.0/16"}}]
}}}}]}}
"#,
        addresses = folder.join("addresses"),
    )
}

/// Looks often, so that tests wait less; keeps logs whole; writes no iptables; asks for nothing that takes more rights than tests have.
fn kubelet(folder: &Path) -> String {
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {NODE_ADDRESS}
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
cgroupDriver: cgroupfs
failSwapOn: false
makeIPTablesUtilChains: false
maxOpenFiles: 20000
oomScoreAdj: 0
resolvConf: ''
clusterDNS: [10.112.0.10]
clusterDomain: cluster.local
staticPodPath: {}
syncFrequency: 1s
nodeStatusUpdateFrequency: 1s
fileCheckFrequency: 1s
configMapAndSecretChangeDetectionStrategy: Watch
imageGCHighThresholdPercent: 100
containerLogMaxSize: 1Gi
evictionHard: {{memory.available: 50Mi}}
featureGates: {{EphemeralContainers: true}}
serializeImagePulls: false
",
        folder.join("static").display()
    )
}

/// A part's program and arguments.
pub(super) fn command(daemon: Daemon, folder: &Path) -> (String, Vec<String>) {
    let place = folder.display();
    let (program, arguments) = match daemon {
        Daemon::Containerd => ("containerd", format!("--config={place}/containerd.toml")),
        Daemon::Etcd => (
            "etcd",
            format!(
                "--data-dir={place}/etcd --log-level=warn \
                 --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379"
            ),
        ),
        Daemon::ApiServer => (
            "kube-apiserver",
            // By its address, for nobody resolves the node's name.
            format!(
                "--etcd-servers=http://127.0.0.1:2379 --kubelet-preferred-address-types=InternalIP \
                 --bind-address={NODE_ADDRESS} --advertise-address={NODE_ADDRESS} --secure-port=6443 \
                 --cert-dir={place}/pki --token-auth-file={place}/pki/tokens.csv --authorization-mode=RBAC \
                 --allow-privileged=true --service-cluster-ip-range=10.112.0.0/24 \
                 --service-account-key-file={place}/pki/accounts.pub \
                 --service-account-signing-key-file={place}/pki/accounts.key \
                 --service-account-issuer=https://cluster.local --feature-gates=EphemeralContainers=true"
            ),
        ),
        Daemon::ControllerManager => (
            "kube-controller-manager",
            format!(
                "--kubeconfig={place}/controller-manager.kubeconfig \
                 --service-account-private-key-file={place}/pki/accounts.key --root-ca-file={place}/pki/apiserver.crt \
                 --leader-elect=false --bind-address=127.0.0.1 --port=0"
            ),
        ),
        Daemon::Scheduler => (
            "kube-scheduler",
            format!("--kubeconfig={place}/scheduler.kubeconfig --leader-elect=false --bind-address=127.0.0.1 --port=0"),
        ),
        Daemon::Kubelet => (
            "kubelet",
            format!(
                "--config={place}/kubelet.yaml --kubeconfig={place}/kubelet.kubeconfig --hostname-override={NODE} \
                 --node-ip={NODE_ADDRESS} --container-runtime=remote --root-dir=/var/lib/kubelet \
                 --container-runtime-endpoint=unix:///run/containerd/containerd.sock --cert-dir={place}/pki \
                 --volume-plugin-dir={place}/volume-plugins"
            ),
        ),
    };
    (
        program.to_owned(),
        arguments.split_whitespace().map(str::to_owned).collect(),
    )
}
