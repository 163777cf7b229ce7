//! The stock rules by short names.

pub(super) const CLUSTER: &str = "Cluster's client used for access in a container";
pub(super) const DATABASE: &str = "Shell started by a database in a container";
pub(super) const DISCOVERY: &str = "Many questions about the system in a container";
pub(super) const DISK: &str = "Disk of the host opened in a container";
pub(super) const ENCODED: &str = "Encoded payload decoded and run in a container";
pub(super) const ENGINE: &str = "Container engine used from within a container";
pub(super) const EXECUTABLE: &str = "Download made executable in a container";
pub(super) const FED: &str = "Shell fed by a download or a decoder in a container";
pub(super) const FOREIGN: &str = "Program that is not of the image in a container";
pub(super) const HIDDEN: &str = "Program run from memory or a hidden place in a container";
pub(super) const HISTORY: &str = "Traces removed in a container";
pub(super) const HOST: &str = "Host entered from a container";
pub(super) const INSTALLED: &str = "Tool installed by hand in a container";
pub(super) const KERNEL: &str = "Program for the kernel to run set from a container";
pub(super) const METADATA: &str = "Cloud credentials asked for in a container";
pub(super) const MINER: &str = "Cryptocurrency miner in a container";
pub(super) const NAMESPACE: &str = "New user or mount namespace in a container";
pub(super) const PIPED: &str = "Download piped into a shell in a container";
pub(super) const PLANTED: &str = "Way back planted in a container";
pub(super) const REVERSE: &str = "Shell connected to the network in a container";
pub(super) const SECRET: &str = "Secret file read in a container";
pub(super) const SENSOR: &str = "Sensor attacked";
pub(super) const SERVER: &str = "Shell started by a server in a container";
pub(super) const SHELL: &str = "Interactive shell opened in a container";
pub(super) const TOOL: &str = "Attack tool started in a container";
pub(super) const TUNNEL: &str = "Tunnel or listener opened in a container";
