//! What of another configuration a running sensor takes.

use std::path::PathBuf;

use super::containers::ContainersConfig;
use super::settings::Config;

impl Config {
    /// The file, and where rules are.
    pub(crate) fn watched(&self) -> Vec<PathBuf> {
        let mut paths = self.rules.clone();
        paths.push(self.file.clone());
        paths
    }

    /// Takes what can change while the sensor runs.
    pub(crate) fn take_rules_of(&mut self, other: Config) {
        self.rules = other.rules;
        self.stock_rules = other.stock_rules;
        self.data_streams = other.data_streams;
        self.own_fields = other.own_fields;
    }

    /// The keys in which the other one differs and that a running sensor does not take.
    pub(crate) fn waiting_for_start(&self, other: &Config) -> Vec<&'static str> {
        // Each key is named, so that a new one is decided about here.
        let Config {
            file: _,
            rules: _,
            stock_rules: _,
            data_streams: _,
            learn_for,
            format,
            state_directory,
            runtime_directory,
            metrics_file,
            heartbeat,
            sandbox,
            host_name,
            host_root,
            containers:
                ContainersConfig {
                    sockets,
                    further_engines,
                    directory,
                    metadata_wait,
                    cluster_name,
                    node_name,
                },
            ring_buffer_bytes,
            arguments_limit_bytes,
            environment_variables,
            own_fields: _,
        } = self;
        let containers = &other.containers;
        let sockets_differ = |index: usize| sockets[index] != containers.sockets[index];
        let differences = [
            ("learn_for", *learn_for != other.learn_for),
            ("format", *format != other.format),
            ("state_directory", *state_directory != other.state_directory),
            ("runtime_directory", *runtime_directory != other.runtime_directory),
            ("metrics_file", *metrics_file != other.metrics_file),
            ("heartbeat", *heartbeat != other.heartbeat),
            ("sandbox", *sandbox != other.sandbox),
            ("host_name", *host_name != other.host_name),
            ("host_root", *host_root != other.host_root),
            ("docker_socket", sockets_differ(0)),
            ("podman_socket", sockets_differ(1)),
            ("containerd_socket", sockets_differ(2)),
            ("crio_socket", sockets_differ(3)),
            ("further_engines", *further_engines != containers.further_engines),
            ("pod_annotations", *directory != containers.directory),
            ("metadata_wait", *metadata_wait != containers.metadata_wait),
            ("cluster_name", *cluster_name != containers.cluster_name),
            ("node_name", *node_name != containers.node_name),
            ("ring_buffer_bytes", *ring_buffer_bytes != other.ring_buffer_bytes),
            (
                "arguments_limit_bytes",
                *arguments_limit_bytes != other.arguments_limit_bytes,
            ),
            (
                "environment_variables",
                *environment_variables != other.environment_variables,
            ),
        ];
        let differing = differences.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_taken_and_what_is_not_is_named() {
        let mut running = Config::default();
        let other = Config::from_toml(
            "rules = [\"/x\"]\nstock_rules = false\nheartbeat = \"5m\"\n[containers]\ncrio_socket = \"\"\n",
        )
        .unwrap();
        assert_eq!(running.waiting_for_start(&other), ["heartbeat", "crio_socket"]);
        running.take_rules_of(other);
        assert_eq!(running.watched(), [PathBuf::from("/x"), running.file.clone()]);
        assert!(!running.stock_rules);
        assert_ne!(running.heartbeat.as_secs(), 300);
    }
}
