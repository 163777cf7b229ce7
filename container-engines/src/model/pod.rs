//! The Kubernetes pod a container is part of, as far as the node knows it.
//!
//! The kubelet writes the pod's name, namespace and uid into the labels of each container it creates; the pod's own
//! labels and annotations come from the engine's CRI. A node does not learn which workload a pod belongs to: it is
//! derived from the labels and names that controllers give to their pods, and left out where that is ambiguous.
//!
//! All of it is text that users of the cluster chose, cut to size like everything from an engine. Images bring labels along
//! too, of any name, so labels are believed only where an image has no part in them, or where the kubelet says the same
//! elsewhere.

use std::net::IpAddr;

use super::text::{bounded, bounded_labels, pair_bytes};

/// Written by the kubelet into the labels of containers and sandboxes.
const POD_NAME: &str = "io.kubernetes.pod.name";
const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD_UID: &str = "io.kubernetes.pod.uid";
pub(crate) const CONTAINER_NAME: &str = "io.kubernetes.container.name";

/// A pod. Texts are empty where the engine did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// The name of the pod in its namespace.
    pub name: String,
    /// The namespace in the cluster.
    pub namespace: String,
    /// The id that no other pod has; of a pod from a file on the node, a hash of that.
    pub uid: String,
    /// Sorted by key.
    pub labels: Vec<(String, String)>,
    /// The allowed ones, sorted by key.
    pub annotations: Vec<(String, String)>,
    /// In the cluster: one, or one of each family; none where the pod is in the node's network. `None` where the engine did
    /// not say.
    pub addresses: Option<Vec<IpAddr>>,
    /// What manages it, where that is certain.
    pub workload: Option<Workload>,
    /// Labels and annotations that were left out or cut because of their number or size.
    pub cut: u64,
}

/// What manages a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// As Kubernetes spells it: `Deployment`, `StatefulSet`, `DaemonSet`, `Job`, `ReplicaSet`, or
    /// `Node` for a pod from a file on the node.
    pub kind: &'static str,
    /// Not known for a `Node`, and where the pod's name holds only the beginning of a longer one.
    pub name: Option<String>,
    /// Of a `Job`: the CronJob that made it, by the time in its name.
    pub cron_job: Option<String>,
}

impl Workload {
    fn new(kind: &'static str, name: Option<&str>) -> Self {
        Self {
            kind,
            name: name.map(bounded),
            cron_job: None,
        }
    }
}

/// How much of `NAME-` is in a name that Kubernetes makes of it, before the random letters.
const GENERATED_FROM: usize = 58;
const RANDOM_LETTERS: usize = 5;

impl Pod {
    /// The kind of what manages a pod from a file on the node.
    pub const STATIC: &str = "Node";

    /// Whether it comes from a file on the node. Its uid is then a hash of that.
    pub fn is_static(&self) -> bool {
        self.workload
            .as_ref()
            .is_some_and(|workload| workload.kind == Pod::STATIC)
    }

    /// What the labels of a container of Docker's say about its pod, if its name says so too: `k8s_CONTAINER_POD_NAMESPACE_UID_`
    /// and more, which the kubelet chose and an image cannot.
    pub(crate) fn of_docker(name: &str, labels: &[(String, String)]) -> Option<Pod> {
        let mut parts = name.strip_prefix("k8s_")?.split('_').skip(1);
        let named: [&str; 3] = std::array::from_fn(|_| parts.next().unwrap_or_default());
        let pod = Pod::from_request(labels)?;
        (parts.next().is_some() && named == [&pod.name, &pod.namespace, &pod.uid]).then_some(pod)
    }

    /// What the labels say with which a container was requested, in which its image has no part.
    pub(crate) fn from_request(labels: &[(String, String)]) -> Option<Pod> {
        let value = |wanted: &str| {
            labels
                .iter()
                .find(|(key, _)| key == wanted)
                .map(|(_, value)| bounded(value))
        };
        Some(Pod {
            name: value(POD_NAME)?,
            namespace: value(POD_NAMESPACE).unwrap_or_default(),
            uid: value(POD_UID).unwrap_or_default(),
            ..Pod::default()
        })
    }

    /// A pod as its sandbox is described, with those annotations that `allowed` names.
    pub(crate) fn new<'a>(
        name: &str,
        namespace: &str,
        uid: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        annotations: impl IntoIterator<Item = (&'a str, &'a str)>,
        allowed: &[String],
    ) -> Pod {
        let mut is_static = false;
        let own = labels.into_iter().filter(|(key, _)| !key.starts_with("io.kubernetes."));
        let (labels, cut_labels) = bounded_labels(own);
        let kept = annotations.into_iter().filter(|(key, value)| {
            is_static |= *key == "kubernetes.io/config.source" && *value == "file";
            is_allowed(key, allowed)
        });
        let (annotations, cut_annotations) = bounded_labels(kept);
        Pod {
            workload: if is_static {
                Some(Workload::new(Pod::STATIC, None))
            } else {
                workload(name, &labels)
            },
            name: bounded(name),
            namespace: bounded(namespace),
            uid: bounded(uid),
            labels,
            annotations,
            addresses: None,
            cut: cut_labels + cut_annotations,
        }
    }

    /// The memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let pairs = self
            .labels
            .iter()
            .chain(&self.annotations)
            .map(pair_bytes)
            .sum::<usize>();
        let workload = self.workload.iter();
        let names = workload.flat_map(|workload| workload.name.iter().chain(&workload.cron_job));
        let texts = [&self.name, &self.namespace, &self.uid].into_iter().chain(names);
        let addresses = self.addresses.as_ref().map_or(0, Vec::capacity) * size_of::<IpAddr>();
        size_of::<Pod>() + pairs + addresses + texts.map(String::len).sum::<usize>()
    }
}

/// By the whole key, or by its beginning where the pattern ends with `*`.
fn is_allowed(key: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => key.starts_with(beginning),
        None => key == pattern,
    })
}

/// From the labels that Kubernetes' controllers give their pods, and the names they make for them.
fn workload(pod: &str, labels: &[(String, String)]) -> Option<Workload> {
    let label = |wanted: &str| {
        let found = labels.iter().find(|(key, _)| key == wanted);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    let named = |kind, name: &str| Some(Workload::new(kind, Some(name)));
    if let Some(job) = label("batch.kubernetes.io/job-name").or_else(|| label("job-name")) {
        return Some(Workload {
            cron_job: cron_job(job).map(bounded),
            ..Workload::new("Job", Some(job))
        });
    }
    // NAME-HASH-RANDOM; the hash is the ReplicaSet's, and is made by a Deployment alone.
    if let Some(hash) = label("pod-template-hash") {
        return match generated_from(pod)? {
            GeneratedFrom::Whole(replica_set) => {
                match replica_set.strip_suffix(hash).and_then(|name| name.strip_suffix('-')) {
                    Some(deployment) => named("Deployment", deployment),
                    None => named("ReplicaSet", replica_set),
                }
            }
            GeneratedFrom::Cut(beginning) => {
                // There is no dash in the hash: it is between the last two, or its beginning behind the last one.
                let (name, is_whole) = match beginning.strip_suffix('-') {
                    Some(name) => (name, true),
                    None => (beginning, false),
                };
                let (deployment, of_hash) = name.rsplit_once('-')?;
                let is_hash = of_hash == hash || (!is_whole && !of_hash.is_empty() && hash.starts_with(of_hash));
                is_hash.then(|| Workload::new("Deployment", Some(deployment)))
            }
        };
    }
    if label("statefulset.kubernetes.io/pod-name") == Some(pod) {
        let (name, ordinal) = pod.rsplit_once('-')?;
        return ordinal.parse::<u32>().ok().and_then(|_| named("StatefulSet", name));
    }
    // NAME-RANDOM; a StatefulSet has the first label too, but not the second.
    if label("controller-revision-hash").is_some() && label("pod-template-generation").is_some() {
        return Some(match generated_from(pod)? {
            GeneratedFrom::Whole(name) => Workload::new("DaemonSet", Some(name)),
            GeneratedFrom::Cut(_) => Workload::new("DaemonSet", None),
        });
    }
    None
}

/// What a controller had a pod's name made from.
enum GeneratedFrom<'a> {
    /// The name of what manages the pod.
    Whole(&'a str),
    /// Of `NAME-` as much as fits: perhaps all of it.
    Cut(&'a str),
}

fn generated_from(pod: &str) -> Option<GeneratedFrom<'_>> {
    let (beginning, _) = pod.split_at_checked(pod.len().checked_sub(RANDOM_LETTERS)?)?;
    if beginning.len() >= GENERATED_FROM {
        return Some(GeneratedFrom::Cut(beginning));
    }
    beginning.strip_suffix('-').map(GeneratedFrom::Whole)
}

/// Who made a Job of this name, if it ends with the time that it was due, in minutes or, before Kubernetes 1.21, seconds
/// since 1970. Dates, which people end names with, are other numbers.
fn cron_job(job: &str) -> Option<&str> {
    let (name, due) = job.rsplit_once('-')?;
    let number: u64 = due.parse().ok()?;
    let is_time = match due.len() {
        8 => (22_000_000..100_000_000).contains(&number),
        10 => number >= 1_400_000_000,
        _ => false,
    };
    (is_time && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    fn check(pod: &str, labels: &[(&str, &str)], expected: &str) {
        let pod = Pod::new(pod, "shop", "uid", labels.iter().copied(), [], &[]);
        let found = pod.workload.map_or_else(
            || "nothing".to_owned(),
            |workload| format!("{} {}", workload.kind, workload.name.unwrap_or_default()),
        );
        assert_eq!(found, expected, "{} {labels:?}", pod.name);
    }

    #[test]
    fn the_workload_follows_from_what_controllers_write() {
        check(
            "web-7d4b9c6f5-x2x7p",
            &[("pod-template-hash", "7d4b9c6f5")],
            "Deployment web",
        );
        check("a-b-5f-zzzzz", &[("pod-template-hash", "5f")], "Deployment a-b");
        check("own-set-zzzzz", &[("pod-template-hash", "5f")], "ReplicaSet own-set");
        check(
            "db-0",
            &[("statefulset.kubernetes.io/pod-name", "db-0")],
            "StatefulSet db",
        );
        check(
            "agent-x2x7p",
            &[("controller-revision-hash", "1"), ("pod-template-generation", "2")],
            "DaemonSet agent",
        );
        check(
            "backup-28391-abcde",
            &[("job-name", "backup-28391")],
            "Job backup-28391",
        );
        check(
            "backup-abcde",
            &[("batch.kubernetes.io/job-name", "backup")],
            "Job backup",
        );
    }

    /// As the API server makes it.
    fn generated(name: &str) -> String {
        let base = format!("{name}-");
        format!("{}x2x7p", &base[..base.len().min(GENERATED_FROM)])
    }

    #[test]
    fn however_long_a_name_is_only_the_true_one_is_told() {
        const HASH: &str = "7d4b9c6f5b";
        for length in 1..=63 {
            let name = "n".repeat(length);
            let revision = [("controller-revision-hash", "1"), ("pod-template-generation", "2")];
            let pod = generated(&name);
            // Whole up to the letter before the dash.
            let expected = if length < 57 {
                format!("DaemonSet {name}")
            } else {
                "DaemonSet ".to_owned()
            };
            check(&pod, &revision, &expected);

            let pod = generated(&format!("{name}-{HASH}"));
            let expected = if length < 57 {
                format!("Deployment {name}")
            } else {
                "nothing".to_owned()
            };
            check(&pod, &[("pod-template-hash", HASH)], &expected);
        }
    }

    #[test]
    fn a_job_of_a_cron_job_names_it() {
        let made_by = |job: &str| {
            let pod = Pod::new("pod", "shop", "uid", [("job-name", job)], [], &[]);
            pod.workload.and_then(|workload| workload.cron_job)
        };
        assert_eq!(made_by("nightly-29941234").as_deref(), Some("nightly"));
        assert_eq!(made_by("nightly-1795738440").as_deref(), Some("nightly"));
        for by_hand in [
            "nightly",
            "nightly-1",
            "nightly-20261127",
            "nightly-20261127-1",
            "29941234",
            "-29941234",
        ] {
            assert_eq!(made_by(by_hand), None, "{by_hand}");
        }
    }

    #[test]
    fn what_is_not_certain_is_left_out() {
        check("alone", &[], "nothing");
        check("alone", &[("pod-template-hash", "")], "nothing");
        check("db", &[("statefulset.kubernetes.io/pod-name", "db")], "nothing");
        check("db-x", &[("statefulset.kubernetes.io/pod-name", "db-x")], "nothing");
        check("db-0", &[("controller-revision-hash", "1")], "nothing");
    }

    #[test]
    fn a_pod_from_a_file_on_the_node_says_so() {
        let annotations = [("kubernetes.io/config.source", "file")];
        let pod = Pod::new("etcd-node", "kube-system", "uid", [], annotations, &[]);
        assert_eq!(pod.workload.map(|workload| workload.kind), Some("Node"));
        assert_eq!(pod.annotations, []);
    }

    #[test]
    fn only_allowed_annotations_are_kept() {
        let annotations = [("a/one", "1"), ("a/two", "2"), ("b", "3"), ("c", "secret")];
        let allowed = ["a/*".to_owned(), "b".to_owned()];
        let pod = Pod::new("p", "n", "u", [], annotations, &allowed);
        assert_eq!(pod.annotations, texts(&[("a/one", "1"), ("a/two", "2"), ("b", "3")]));
    }

    #[test]
    fn the_labels_of_a_request_name_the_pod() {
        let labels = texts(&[(POD_NAME, "web-0"), (POD_NAMESPACE, "shop"), (POD_UID, "6a")]);
        let pod = Pod::from_request(&labels).unwrap();
        assert_eq!(
            (pod.name.as_str(), pod.namespace.as_str(), pod.uid.as_str()),
            ("web-0", "shop", "6a")
        );
        assert_eq!(Pod::from_request(&texts(&[("team", "a")])), None);
    }

    #[test]
    fn labels_that_an_image_may_have_brought_name_no_pod() {
        let labels = texts(&[(POD_NAME, "web-0"), (POD_NAMESPACE, "shop"), (POD_UID, "6a")]);
        let is_believed = |name: &str| Pod::of_docker(name, &labels).is_some();
        assert!(is_believed("k8s_app_web-0_shop_6a_0"));
        assert!(is_believed("k8s_POD_web-0_shop_6a_3"));
        assert!(is_believed("k8s_app_web-0_shop_6a_0_1f9c2e7d"), "its name was taken");
        for name in [
            "",
            "web",
            "k8s_",
            "k8s_app",
            "k8s_app_web-0_shop_6a",
            "k8s_app_other_shop_6a_0",
            "k8s_app_web-0_other_6a_0",
            "k8s_app_web-0_shop_6b_0",
            "k8s_app_web-0_shop_6a0_0",
            "x_k8s_app_web-0_shop_6a_0",
        ] {
            assert!(!is_believed(name), "{name}");
        }
        assert_eq!(Pod::of_docker("k8s_app___", &[]), None);
        assert_eq!(
            Pod::of_docker("k8s_app_web-0_shop_6a_0", &texts(&[("team", "a")])),
            None
        );
    }

    proptest! {
        #[test]
        fn any_name_and_labels_are_accepted(name in ".{0,40}", hash in "[a-z-]{0,6}") {
            for key in ["pod-template-hash", "job-name", "statefulset.kubernetes.io/pod-name", "controller-revision-hash"] {
                let labels = [(key, hash.as_str()), ("pod-template-generation", "1")];
                Pod::new(&name, &name, &name, labels, [], &[]);
            }
        }
    }
}
