//! Drives an engine over CRI as a kubelet does: pods on the host's network, containers with Kubernetes' labels.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};
use http::uri::PathAndQuery;
use nix::sched::{CloneFlags, setns};
use prost::Message;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::engine::IMAGE;
use crate::lines::PATIENCE;

mod messages;

use messages::*;

/// A connection to an engine over CRI.
pub struct Kubelet {
    runtime: tokio::runtime::Runtime,
    channel: Channel,
    network: PathBuf,
}

/// What a kubelet knows of a pod.
#[derive(Clone, Debug)]
pub struct PodDescription {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub cgroup_parent: String,
    pub labels: Vec<(&'static str, String)>,
    pub annotations: Vec<(&'static str, String)>,
    /// Whether its processes are among the node's (`hostPID`).
    pub is_among_nodes_processes: bool,
}

/// A pod that runs.
pub struct RunningPod {
    pub sandbox_id: String,
    pub description: PodDescription,
}

impl PodDescription {
    /// In the layout that Kubernetes makes with the cgroupfs driver.
    pub fn on_cgroupfs(name: &str, uid: &str) -> Self {
        Self::new(name, uid, format!("/kubepods/burstable/pod{uid}"))
    }

    /// In the layout that Kubernetes makes with the systemd driver.
    pub fn on_systemd(name: &str, uid: &str) -> Self {
        let slice = format!("kubepods-burstable-pod{}.slice", uid.replace('-', "_"));
        Self::new(name, uid, format!("/kubepods.slice/kubepods-burstable.slice/{slice}"))
    }

    fn new(name: &str, uid: &str, cgroup_parent: String) -> Self {
        Self {
            name: name.to_owned(),
            namespace: "shop".to_owned(),
            uid: uid.to_owned(),
            cgroup_parent,
            labels: Vec::new(),
            annotations: Vec::new(),
            is_among_nodes_processes: false,
        }
    }

    fn namespaces(&self) -> NamespaceOption {
        NamespaceOption {
            network: ON_NODE,
            process: if self.is_among_nodes_processes {
                ON_NODE
            } else {
                OF_CONTAINER
            },
        }
    }

    fn kubernetes_labels(&self) -> HashMap<String, String> {
        let labels = [
            ("io.kubernetes.pod.name", &self.name),
            ("io.kubernetes.pod.namespace", &self.namespace),
            ("io.kubernetes.pod.uid", &self.uid),
        ];
        labels.map(|(key, value)| (key.to_owned(), value.clone())).into()
    }

    fn config(&self) -> PodSandboxConfig {
        let owned = |pairs: &[(&'static str, String)]| -> HashMap<String, String> {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect()
        };
        let mut labels = self.kubernetes_labels();
        labels.extend(owned(&self.labels));
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: self.name.clone(),
                uid: self.uid.clone(),
                namespace: self.namespace.clone(),
                attempt: 0,
            }),
            labels,
            annotations: owned(&self.annotations),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: self.cgroup_parent.clone(),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(self.namespaces()),
                    privileged: true,
                }),
            }),
        }
    }
}

/// A container of a pod, before it is made.
#[derive(Clone, Debug, Default)]
pub struct ContainerDescription<'a> {
    pub name: &'a str,
    pub command: &'a [&'a str],
    pub is_privileged: bool,
    /// With these alone, a root that is read-only, no new privileges, and the runtime's seccomp profile.
    pub only_capabilities: Option<&'a [&'a str]>,
    /// Paths of the host and where the container sees them.
    pub mounts: &'a [(&'a str, &'a str)],
    /// A path of the host that the container may write to, under the same name.
    pub writable: Option<&'a str>,
}

impl Kubelet {
    /// `network` is the file of the engine's network namespace.
    pub fn connect(socket: &Path, network: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let endpoint = Endpoint::try_from(format!("unix:{}", socket.display()))?;
        let channel = runtime.block_on(endpoint.connect())?;
        Ok(Self {
            runtime,
            channel,
            network: network.to_owned(),
        })
    }

    /// Makes and starts a pod without containers.
    pub fn run_pod(&self, description: PodDescription) -> Result<RunningPod> {
        let question = RunPodSandboxRequest {
            config: Some(description.config()),
        };
        let answer: SandboxIdResponse = self.call("/runtime.v1.RuntimeService/RunPodSandbox", question)?;
        Ok(RunningPod {
            sandbox_id: answer.id,
            description,
        })
    }

    /// Makes and starts a container; its id.
    pub fn run(&self, pod: &RunningPod, container: &ContainerDescription<'_>) -> Result<String> {
        let mut labels = pod.description.kubernetes_labels();
        labels.insert("io.kubernetes.container.name".to_owned(), container.name.to_owned());
        let mount = |host_path: &str, container_path: &str, readonly| Mount {
            container_path: container_path.to_owned(),
            host_path: host_path.to_owned(),
            readonly,
        };
        let read_only = container.mounts.iter();
        let read_only = read_only.map(|(host_path, container_path)| mount(host_path, container_path, true));
        let mounts = read_only.chain(container.writable.map(|path| mount(path, path, false)));
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let only = container.only_capabilities;
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata {
                name: container.name.to_owned(),
            }),
            image: Some(ImageSpec {
                image: IMAGE.to_owned(),
            }),
            command: container.command.iter().map(|part| (*part).to_owned()).collect(),
            mounts: mounts.collect(),
            labels,
            linux: Some(LinuxContainerConfig {
                security_context: Some(LinuxContainerSecurityContext {
                    privileged: container.is_privileged,
                    namespace_options: Some(pod.description.namespaces()),
                    capabilities: only.map(|names| Capability {
                        add: owned(names),
                        drop: owned(&["ALL"]),
                    }),
                    readonly_rootfs: only.is_some(),
                    no_new_privs: only.is_some(),
                    seccomp: only.map(|_| Empty {}),
                }),
            }),
        };
        let question = CreateContainerRequest {
            pod_sandbox_id: pod.sandbox_id.clone(),
            config: Some(config),
            sandbox_config: Some(pod.description.config()),
        };
        let answer: ContainerIdResponse = self.call("/runtime.v1.RuntimeService/CreateContainer", question)?;
        let question = ContainerIdRequest { id: answer.id.clone() };
        let _: Empty = self.call("/runtime.v1.RuntimeService/StartContainer", question)?;
        Ok(answer.id)
    }

    /// Runs a command in a container, without a terminal, to its end.
    pub fn exec(&self, container: &str, command: &[&str]) -> Result<()> {
        let question = ExecSyncRequest {
            container_id: container.to_owned(),
            cmd: command.iter().map(|part| (*part).to_owned()).collect(),
            timeout: i64::try_from(PATIENCE.as_secs())?,
        };
        let answer: ExecSyncResponse = self.call("/runtime.v1.RuntimeService/ExecSync", question)?;
        if answer.exit_code != 0 {
            let stderr = String::from_utf8_lossy(&answer.stderr).into_owned();
            bail!("{command:?} ended with {}: {stderr}", answer.exit_code);
        }
        Ok(())
    }

    /// Opens a shell in a container, types lines into it as `kubectl exec -it` does, and leaves it.
    pub fn type_into_shell(&self, container: &str, lines: &[&str]) -> Result<()> {
        let question = ExecRequest {
            container_id: container.to_owned(),
            cmd: vec!["/bin/sh".to_owned()],
            tty: true,
            stdin: true,
            stdout: true,
        };
        let answer: ExecResponse = self.call("/runtime.v1.RuntimeService/Exec", question)?;
        let mut session = Session::open(&answer.url, &self.network)?;
        for line in lines.iter().chain(&["exit"]) {
            session.type_line(line)?;
        }
        session.wait_for_end()
    }

    /// Removes all pods with their containers.
    pub fn remove_all(&self) {
        let pods: Result<ListPodSandboxResponse> = self.call("/runtime.v1.RuntimeService/ListPodSandbox", Empty {});
        for pod in pods.map(|pods| pods.items).unwrap_or_default() {
            let question = ContainerIdRequest { id: pod.id };
            let _: Result<Empty> = self.call("/runtime.v1.RuntimeService/StopPodSandbox", question.clone());
            let _: Result<Empty> = self.call("/runtime.v1.RuntimeService/RemovePodSandbox", question);
        }
    }

    fn call<Question, Answer>(&self, method: &'static str, question: Question) -> Result<Answer>
    where
        Question: Message + 'static,
        Answer: Message + Default + 'static,
    {
        self.runtime.block_on(async {
            let mut grpc = Grpc::new(self.channel.clone());
            grpc.ready().await?;
            let codec = ProstCodec::<Question, Answer>::default();
            let question = tonic::Request::new(question);
            let answer = grpc.unary(question, PathAndQuery::from_static(method), codec).await;
            Ok(answer.with_context(|| method.to_owned())?.into_inner())
        })
    }
}

/// A terminal session over the WebSocket that an engine opened for it: each message begins with the number of its
/// stream.
struct Session {
    connection: BufReader<TcpStream>,
}

const STDIN: u8 = 0;
const STATUS: u8 = 3;
const BINARY_FRAME: u8 = 0x82;
const CLOSE_FRAME: u8 = 0x88;
const MASKED: u8 = 0x80;

impl Session {
    fn open(url: &str, network: &Path) -> Result<Self> {
        let uri: http::Uri = url.parse()?;
        let authority = uri.authority().context("the engine's address has no host")?;
        let stream = connect_in(network, authority.as_str())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut connection = BufReader::new(stream);
        write!(
            connection.get_mut(),
            "GET {} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGlkZXdhaXRlcnRlc3RzMQ==\r\n\
             Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n",
            uri.path()
        )?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if connection.read_line(&mut head)? == 0 {
                bail!("the engine closed the connection after `{head}`");
            }
        }
        if !head.contains(" 101 ") {
            bail!("the engine opened no session: {head}");
        }
        Ok(Self { connection })
    }

    fn type_line(&mut self, line: &str) -> Result<()> {
        let mut message = vec![STDIN];
        message.extend_from_slice(line.as_bytes());
        message.push(b'\n');
        let length = u8::try_from(message.len()).ok().filter(|length| *length < 126);
        let length = length.context("the line is too long for one short frame")?;
        // A mask of zeros changes nothing.
        let mut frame = vec![BINARY_FRAME, MASKED | length, 0, 0, 0, 0];
        frame.extend_from_slice(&message);
        self.connection.get_mut().write_all(&frame)?;
        Ok(())
    }

    /// Reads what comes until the engine says how the program ended.
    fn wait_for_end(&mut self) -> Result<()> {
        let mut head = [0; 2];
        loop {
            self.connection.read_exact(&mut head)?;
            let length = match head[1] {
                126 => {
                    let mut long = [0; 2];
                    self.connection.read_exact(&mut long)?;
                    usize::from(u16::from_be_bytes(long))
                }
                short => usize::from(short),
            };
            let mut message = vec![0; length];
            self.connection.read_exact(&mut message)?;
            if head[0] == CLOSE_FRAME || message.first() == Some(&STATUS) {
                return Ok(());
            }
        }
    }
}

/// A connection within another network namespace, which only a thread of its own may enter.
fn connect_in(network: &Path, address: &str) -> Result<TcpStream> {
    let connect = || -> Result<TcpStream> {
        setns(File::open(network)?, CloneFlags::CLONE_NEWNET)?;
        Ok(TcpStream::connect(address)?)
    };
    let connected = thread::scope(|scope| scope.spawn(connect).join());
    connected.map_err(|_| anyhow!("the thread that connects panicked"))?
}
