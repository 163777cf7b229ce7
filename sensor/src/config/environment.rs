//! Every key of the configuration from the environment, over what the file says.
//!
//! The variable of a key is `TIDEWAITER_`, the name of its table if it is in one, and its own name, all in capitals:
//! `TIDEWAITER_HOST_NAME`, `TIDEWAITER_CONTAINERS_METADATA_WAIT`. Which keys there are, and of what type, is read off the
//! default configuration. Each variable is checked as a line of a file would be.

use std::collections::BTreeMap;
use std::ffi::OsString;

use toml::de::{DeTable, DeValue};
use tracing::warn;

use super::settings::Config;
use super::unknown_keys::{DEFAULT_TOML, nearest};
use crate::text::escape::Visible;

const PREFIX: &str = "TIDEWAITER_";

/// Shorter names of keys that a pod's description sets.
const SHORT_NAMES: [(&str, &str); 2] = [
    ("TIDEWAITER_CLUSTER_NAME", "TIDEWAITER_CONTAINERS_CLUSTER_NAME"),
    ("TIDEWAITER_NODE_NAME", "TIDEWAITER_CONTAINERS_NODE_NAME"),
];

/// How values of a key are written in a variable.
#[derive(Clone, Copy)]
enum Kind {
    /// As they are.
    Text,
    /// As in the file.
    Plain,
    /// As in the file, or without brackets and quotes, with commas between.
    List,
}

struct Key {
    /// With its table.
    path: String,
    variable: String,
    kind: Kind,
}

impl Config {
    /// This configuration with what variables say; all that is wrong with them if something is. Those that are no key's
    /// are named in the log.
    pub(super) fn with_environment(
        mut self,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Vec<String>> {
        let mut variables: BTreeMap<String, OsString> = variables
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        for (short, name) in SHORT_NAMES {
            if let Some(value) = variables.remove(short) {
                variables.entry(name.to_owned()).or_insert(value);
            }
        }
        let keys = keys();
        let mut problems = Vec::new();
        for key in &keys {
            let Some(value) = variables.remove(&key.variable) else {
                continue;
            };
            match key.line(&value) {
                Ok(line) => match Config::from_toml_over(self.clone(), &line) {
                    Ok(config) => self = config,
                    Err(found) => problems.extend(found.iter().map(|problem| key.problem(&problem.message))),
                },
                Err(message) => problems.push(key.problem(&message)),
            }
        }
        for (name, value) in &variables {
            if !is_service_link(name, &value.to_string_lossy()) {
                let names = keys.iter().map(|key| key.variable.as_str());
                let meant = nearest(name, names).map(|nearest| format!(" (did you mean `{nearest}`?)"));
                warn!(
                    "no key of the configuration has the environment variable `{}`{}",
                    Visible(name),
                    meant.unwrap_or_default()
                );
            }
        }
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }
}

impl Key {
    /// The line of a file that says the same.
    fn line(&self, value: &OsString) -> Result<String, String> {
        let value = value.to_str().ok_or("the value is not UTF-8")?;
        let text = |value: &str| toml::Value::from(value).to_string();
        // A file would have more lines then.
        let one_line = value.trim().replace(['\n', '\r'], " ");
        let written = match self.kind {
            Kind::Text => text(value),
            Kind::Plain => match one_line.parse::<toml::Value>() {
                Ok(value @ (toml::Value::Boolean(_) | toml::Value::Integer(_))) => value.to_string(),
                _ => text(value),
            },
            Kind::List if one_line.starts_with('[') => one_line,
            Kind::List => {
                let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
                toml::Value::from(items.collect::<Vec<_>>()).to_string()
            }
        };
        Ok(format!("{} = {written}\n", self.path))
    }

    fn problem(&self, message: &str) -> String {
        format!("the environment variable `{}`: {message}", self.variable)
    }
}

/// The keys of the default configuration, which states every one.
fn keys() -> Vec<Key> {
    let mut keys = Vec::new();
    if let Ok(table) = DeTable::parse(DEFAULT_TOML) {
        collect_keys(table.get_ref(), "", &mut keys);
    }
    keys
}

fn collect_keys(table: &DeTable<'_>, above: &str, keys: &mut Vec<Key>) {
    for (key, value) in table.iter() {
        let path = format!("{above}{}", key.get_ref());
        let kind = match value.get_ref() {
            DeValue::Table(table) => {
                collect_keys(table, &format!("{path}."), keys);
                continue;
            }
            DeValue::String(_) => Kind::Text,
            DeValue::Array(_) => Kind::List,
            _ => Kind::Plain,
        };
        let variable = format!("{PREFIX}{}", path.replace('.', "_").to_uppercase());
        keys.push(Key { path, variable, kind });
    }
}

/// Whether Kubernetes or Docker made the variable of a service whose name begins with `tidewaiter`.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|protocol| value.starts_with(protocol));
    let is_port_of_protocol = || {
        let mut parts = name
            .rsplit('_')
            .skip_while(|part| ["PROTO", "PORT", "ADDR"].contains(part));
        let is_protocol = parts.next().is_some_and(|part| ["TCP", "UDP", "SCTP"].contains(&part));
        is_protocol && parts.next().is_some_and(|port| port.parse::<u16>().is_ok()) && parts.next() == Some("PORT")
    };
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && is_address)
        || is_port_of_protocol()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    fn with(base: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Config::from_toml(base).unwrap().with_environment(variables)
    }

    #[test]
    fn every_key_has_a_variable_that_takes_its_default_in_the_form_of_the_file() {
        let table: toml::Table = toml::from_str(DEFAULT_TOML).unwrap();
        let keys = keys();
        assert!(keys.len() > 10);
        for key in keys {
            let table = toml::Value::from(table.clone());
            let value = key.path.split('.').fold(&table, |value, part| &value[part]);
            let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let name = key.variable.as_str();
            assert_eq!(with("", &[(name, &written)]).unwrap(), Config::default(), "{name}");
            assert!(!is_service_link(name, ""), "{name}");
        }
    }

    #[test]
    fn variables_count_before_the_file_and_leave_its_other_keys() {
        let file = "host_name = \"file\"\nlearn_for = \"3m\"\nmetrics_file = \"/m\"\n[containers]\nnode_name = \"n\"\n\
                    docker_socket = \"/d\"\nfurther_engines = [{engine = \"podman\", socket = \"/p\"}]\n";
        let config = with(
            file,
            &[
                ("TIDEWAITER_HOST_NAME", "from \"outside\""),
                ("TIDEWAITER_CONTAINERS_METADATA_WAIT", "1s"),
                ("TIDEWAITER_CONTAINERS_CRIO_SOCKET", ""),
                ("TIDEWAITER_RULES", "/a, /b"),
                ("TIDEWAITER_STOCK_RULES", "false"),
                ("TIDEWAITER_KERNEL_RING_BUFFER_BYTES", "65536"),
                ("OTHER_HOST_NAME", "x"),
            ],
        )
        .unwrap();
        let mut expected = Config::from_toml(file).unwrap();
        expected.host_name = Some("from \"outside\"".to_owned());
        expected.containers.metadata_wait = Duration::from_secs(1);
        expected.containers.sockets[3] = PathBuf::new();
        expected.rules = vec!["/a".into(), "/b".into()];
        expected.stock_rules = false;
        expected.ring_buffer_bytes = 65536;
        assert_eq!(config, expected);
        assert_eq!(
            with(file, &[("TIDEWAITER_METRICS_FILE", "")]).unwrap().metrics_file,
            None
        );
        let engines = "[\n {engine = \"containerd\", socket = \"/c\"},\n]";
        let config = with(file, &[("TIDEWAITER_CONTAINERS_FURTHER_ENGINES", engines)]).unwrap();
        assert_eq!(config.containers.engines()[4].path, PathBuf::from("/c"));
    }

    #[test]
    fn the_short_names_of_cluster_and_node_are_keys_too_and_the_long_ones_count_before_them() {
        let name = |variables: &[(&str, &str)]| with("", variables).unwrap().containers.node_name;
        assert_eq!(name(&[("TIDEWAITER_NODE_NAME", "a")]).as_deref(), Some("a"));
        let both = [("TIDEWAITER_NODE_NAME", "a"), ("TIDEWAITER_CONTAINERS_NODE_NAME", "b")];
        assert_eq!(name(&both).as_deref(), Some("b"));
        let config = with("", &[("TIDEWAITER_CLUSTER_NAME", "c")]).unwrap();
        assert_eq!(config.containers.cluster_name.as_deref(), Some("c"));
    }

    #[test]
    fn all_wrong_variables_are_named_with_what_is_allowed() {
        let problems = with(
            "",
            &[
                ("TIDEWAITER_LEARN_FOR", "soon"),
                ("TIDEWAITER_STOCK_RULES", "yes"),
                ("TIDEWAITER_KERNEL_ARGUMENTS_LIMIT_BYTES", "1"),
                ("TIDEWAITER_CONTAINERS_FURTHER_ENGINES", "[]\nhost_name = \"x\""),
            ],
        )
        .unwrap_err();
        let said = problems.join("\n");
        assert_eq!(problems.len(), 4, "{said}");
        for part in [
            "`TIDEWAITER_LEARN_FOR`: a duration is a whole number and a unit",
            "`TIDEWAITER_STOCK_RULES`: invalid type: string \"yes\", expected a boolean",
            "`TIDEWAITER_KERNEL_ARGUMENTS_LIMIT_BYTES`: `1` is out of range: 4096 to 1048576",
            "`TIDEWAITER_CONTAINERS_FURTHER_ENGINES`: ",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn service_links_and_unknown_variables_change_nothing() {
        for (name, value, is_link) in [
            ("TIDEWAITER_SERVICE_HOST", "10.0.0.1", true),
            ("TIDEWAITER_SERVICE_PORT", "9090", true),
            ("TIDEWAITER_METRICS_SERVICE_PORT_HTTP", "9090", true),
            ("TIDEWAITER_PORT", "tcp://10.0.0.1:9090", true),
            ("TIDEWAITER_PORT_9090_TCP", "tcp://10.0.0.1:9090", true),
            ("TIDEWAITER_PORT_9090_TCP_PROTO", "tcp", true),
            ("TIDEWAITER_METRICS_PORT_53_UDP_ADDR", "10.0.0.1", true),
            ("TIDEWAITER_PORT", "9090", false),
            ("TIDEWAITER_HOSTNAME", "x", false),
        ] {
            assert_eq!(is_service_link(name, value), is_link, "{name}={value}");
            assert_eq!(with("", &[(name, value)]).unwrap(), Config::default(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_value_changes_another_key(value in "\\PC*|.{0,9}[\\]\"'\n=#]{1,5}.{0,9}") {
            for name in ["TIDEWAITER_HOST_NAME", "TIDEWAITER_RULES", "TIDEWAITER_HEARTBEAT"] {
                if let Ok(config) = with("", &[(name, &value)]) {
                    let mut expected = Config::default();
                    match name {
                        "TIDEWAITER_HOST_NAME" => expected.host_name.clone_from(&config.host_name),
                        "TIDEWAITER_RULES" => expected.rules.clone_from(&config.rules),
                        _ => expected.heartbeat = config.heartbeat,
                    }
                    proptest::prop_assert_eq!(config, expected);
                }
            }
        }
    }
}
