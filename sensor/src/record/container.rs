//! The container in a record: its identity, which comes from the kernel, and its metadata, which comes from an engine.
//!
//! Under ECS' names where ECS has them (`container.*`, `orchestrator.*`), under those of Elastic's own agents for
//! Kubernetes (`kubernetes.*`), and under `tidewaiter.container.*` for the rest.

use std::net::IpAddr;
use std::sync::Arc;

use container_engines::{Lookup, Metadata, Mount, Pod};
use rule_engine::{FieldId, Record, Value, fields};

use super::own;
use crate::process::Process;

/// Fields that only a container engine can fill: a rule that reads one of them has to wait for its answer.
pub(crate) const ENGINE_FIELDS: [FieldId; 25] = [
    fields::CONTAINER_NAME,
    fields::CONTAINER_IMAGE_NAME,
    fields::CONTAINER_IMAGE_TAG,
    fields::CONTAINER_IMAGE_HASH_ALL,
    fields::CONTAINER_LABELS,
    fields::CONTAINER_SECURITY_CONTEXT_PRIVILEGED,
    fields::KUBERNETES,
    fields::ORCHESTRATOR_NAMESPACE,
    fields::ORCHESTRATOR_RESOURCE_ANNOTATION,
    fields::ORCHESTRATOR_RESOURCE_ID,
    fields::ORCHESTRATOR_RESOURCE_IP,
    fields::ORCHESTRATOR_RESOURCE_LABEL,
    fields::ORCHESTRATOR_RESOURCE_NAME,
    fields::ORCHESTRATOR_RESOURCE_PARENT_TYPE,
    fields::ORCHESTRATOR_RESOURCE_TYPE,
    fields::ORCHESTRATOR_TYPE,
    own::CONTAINER_BUILD,
    own::CONTAINER_ENGINE_SOCKET,
    own::CONTAINER_METADATA,
    own::CONTAINER_METADATA_FAILURE,
    own::CONTAINER_MOUNTS,
    own::CONTAINER_STARTED,
    own::CONTAINER_TERMINAL_INPUT,
    own::CONTAINER_USER,
    // Where the path does not show it.
    fields::CONTAINER_RUNTIME,
];

/// Adds the identity: which container it is, by which evidence, and whether the process's program belongs to it.
pub(super) fn fill_identity(record: &mut Record, process: &Process) {
    let Some(container) = &process.container else { return };
    record.text(fields::CONTAINER_ID, &container.id);
    record.text(own::CONTAINER_IDENTIFIED_BY, process.membership.evidence.name());
    if let Some(other) = &process.membership.conflict {
        record.text(own::CONTAINER_CONFLICT, other);
    }
    if process.is_runtime_helper() {
        record.boolean(own::PROCESS_RUNTIME_HELPER, true);
    }
    if container.is_build() {
        record.boolean(own::CONTAINER_BUILD, true);
    }
    if let Some(runtime) = container.runtime {
        record.text(fields::CONTAINER_RUNTIME, runtime.name());
    }
    if let Some(pod) = &container.pod_uid {
        record.text(fields::ORCHESTRATOR_TYPE, "kubernetes");
        record.text(fields::ORCHESTRATOR_RESOURCE_TYPE, "pod");
        record.text(fields::ORCHESTRATOR_RESOURCE_ID, pod);
    }
    if let Some(outermost) = &container.nested_in {
        record.text(own::CONTAINER_NESTED_IN, &outermost.id);
    }
}

/// Adds what the engine says of the container, and whether that is all.
pub(crate) fn fill_metadata(record: &mut Record, lookup: &Lookup) {
    let state = match lookup {
        Lookup::Complete(_) => "complete",
        Lookup::Pending(_) => "pending",
        Lookup::Failed(..) => "failed",
    };
    record.replace(own::CONTAINER_METADATA, &[Value::Text(state)]);
    if let Lookup::Failed(why, _) = lookup {
        let why = why.to_string();
        record.replace(own::CONTAINER_METADATA_FAILURE, &[Value::Text(&why)]);
    }
    if let Some(metadata) = lookup.metadata() {
        fill_engine_metadata(record, metadata);
    }
}

fn fill_engine_metadata(record: &mut Record, metadata: &Metadata) {
    record.replace(fields::CONTAINER_RUNTIME, &[Value::Text(metadata.runtime.name())]);
    put_text(record, fields::CONTAINER_NAME, &metadata.name);
    put_text(record, fields::CONTAINER_IMAGE_NAME, &metadata.image.name);
    if let Some(tag) = &metadata.image.tag
        && !metadata.image.name.is_empty()
    {
        put_text(record, fields::CONTAINER_IMAGE_TAG, tag);
    }
    put_texts(record, fields::CONTAINER_IMAGE_HASH_ALL, &metadata.image.digests);
    let labels: Vec<Value<'_>> = metadata
        .labels
        .iter()
        .map(|(key, value)| Value::Label { key, value })
        .collect();
    record.replace(fields::CONTAINER_LABELS, &labels);
    if let Some(privileged) = metadata.privileged {
        record.replace(
            fields::CONTAINER_SECURITY_CONTEXT_PRIVILEGED,
            &[Value::Boolean(privileged)],
        );
    }
    if metadata.is_build {
        record.replace(own::CONTAINER_BUILD, &[Value::Boolean(true)]);
    }
    if let Some(input) = metadata.terminal_input {
        record.replace(own::CONTAINER_TERMINAL_INPUT, &[Value::Boolean(input)]);
    }
    if let Some(user) = &metadata.user {
        put_text(record, own::CONTAINER_USER, user);
    }
    if let Some(started) = metadata.started {
        record.replace(own::CONTAINER_STARTED, &[Value::Date(started)]);
    }
    let mounts: Vec<String> = metadata.mounts.iter().map(Mount::to_string).collect();
    put_texts(record, own::CONTAINER_MOUNTS, &mounts);
    if metadata.mounts.iter().any(Mount::reaches_engine) {
        record.replace(own::CONTAINER_ENGINE_SOCKET, &[Value::Boolean(true)]);
    }
    if let Some(pod) = &metadata.pod {
        fill_pod(record, pod, metadata);
    }
}

fn fill_pod(record: &mut Record, pod: &Arc<Pod>, metadata: &Metadata) {
    put_text(record, fields::ORCHESTRATOR_TYPE, "kubernetes");
    put_text(record, fields::ORCHESTRATOR_RESOURCE_TYPE, "pod");
    put_text(record, fields::ORCHESTRATOR_NAMESPACE, &pod.namespace);
    put_text(record, fields::ORCHESTRATOR_RESOURCE_NAME, &pod.name);
    // Of a pod from a file it is that file's hash, by which the node's engine knows it; the API server knows its mirror by a
    // uid, which nobody here does.
    put_text(record, fields::ORCHESTRATOR_RESOURCE_ID, &pod.uid);
    let uid = if pod.is_static() { "" } else { &pod.uid };
    let addresses = pod.addresses.iter().flatten();
    let addresses: Vec<String> = addresses
        .map(|address| IpAddr::to_canonical(address).to_string())
        .collect();
    put_texts(record, fields::ORCHESTRATOR_RESOURCE_IP, &addresses);
    // ECS wants `key:value` here.
    let joined = |pairs: &[(String, String)]| -> Vec<String> {
        pairs.iter().map(|(key, value)| format!("{key}:{value}")).collect()
    };
    put_texts(record, fields::ORCHESTRATOR_RESOURCE_LABEL, &joined(&pod.labels));
    put_texts(
        record,
        fields::ORCHESTRATOR_RESOURCE_ANNOTATION,
        &joined(&pod.annotations),
    );

    let mut kubernetes: Vec<(String, &str)> = vec![
        ("namespace".to_owned(), &pod.namespace),
        ("pod.name".to_owned(), &pod.name),
        ("pod.uid".to_owned(), uid),
        ("pod.ip".to_owned(), addresses.first().map_or("", String::as_str)),
        ("container.name".to_owned(), &metadata.name),
    ];
    if let Some(workload) = &pod.workload {
        put_text(record, fields::ORCHESTRATOR_RESOURCE_PARENT_TYPE, workload.kind);
        if let Some(name) = &workload.name {
            kubernetes.push((format!("{}.name", workload.kind.to_ascii_lowercase()), name));
        }
        if let Some(name) = &workload.cron_job {
            kubernetes.push(("cronjob.name".to_owned(), name));
        }
    }
    kubernetes.extend(
        pod.labels
            .iter()
            .map(|(key, value)| (format!("labels.{key}"), value.as_str())),
    );
    let annotations = pod.annotations.iter();
    kubernetes.extend(annotations.map(|(key, value)| (format!("annotations.{key}"), value.as_str())));
    for (key, value) in kubernetes.iter().filter(|(_, value)| !value.is_empty()) {
        // Beside the node's name, which is there already.
        record.push(fields::KUBERNETES, Value::Label { key, value });
    }
}

fn put_text(record: &mut Record, field: FieldId, text: &str) {
    if !text.is_empty() {
        record.replace(field, &[Value::Text(text)]);
    }
}

fn put_texts(record: &mut Record, field: FieldId, texts: &[String]) {
    let values: Vec<Value<'_>> = texts.iter().map(|text| Value::Text(text)).collect();
    record.replace(field, &values);
}

#[cfg(test)]
mod tests {
    use super::*;
    use container_engines::{Access, Image, LookupFailure, Runtime, Workload};
    use expect_test::expect;

    fn pods_container() -> Metadata {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Metadata {
            runtime: Runtime::Containerd,
            name: "app".to_owned(),
            image: Image::from_reference("shop/web:2@sha256:ab"),
            labels: vec![label("io.kubernetes.container.name", "app")],
            cut_labels: 0,
            privileged: Some(false),
            terminal_input: Some(false),
            is_build: false,
            user: Some("1000:0".to_owned()),
            started: Some(1_795_306_434_000_000_000),
            mounts: vec![Mount::new("/run", "/host/run", Access::ReadOnly)],
            pod: Some(Arc::new(Pod {
                name: "web-7d4b9c6f5-x2x7p".to_owned(),
                namespace: "shop".to_owned(),
                uid: "6a1c".to_owned(),
                labels: vec![label("app", "web")],
                annotations: vec![label("team", "checkout")],
                addresses: Some(vec![IpAddr::from([10, 88, 0, 7])]),
                workload: Some(Workload {
                    kind: "Deployment",
                    name: Some("web".to_owned()),
                    cron_job: None,
                }),
                cut: 0,
            })),
            cgroup: None,
        }
    }

    #[test]
    fn a_pods_container_has_the_field_names_of_ecs_and_kubernetes() {
        let mut record = Record::with_schema(&own::SCHEMA);
        fill_metadata(&mut record, &Lookup::Complete(Arc::new(pods_container())));
        let document = serde_json::to_string_pretty(&record.to_document()).unwrap();
        expect![[r#"
            {
              "container": {
                "image": {
                  "hash": {
                    "all": [
                      "sha256:ab"
                    ]
                  },
                  "name": "shop/web",
                  "tag": [
                    "2"
                  ]
                },
                "labels": {
                  "io.kubernetes.container.name": "app"
                },
                "name": "app",
                "runtime": "containerd",
                "security_context": {
                  "privileged": false
                }
              },
              "kubernetes": {
                "namespace": "shop",
                "pod.name": "web-7d4b9c6f5-x2x7p",
                "pod.uid": "6a1c",
                "pod.ip": "10.88.0.7",
                "container.name": "app",
                "deployment.name": "web",
                "labels.app": "web",
                "annotations.team": "checkout"
              },
              "orchestrator": {
                "namespace": "shop",
                "resource": {
                  "annotation": [
                    "team:checkout"
                  ],
                  "id": "6a1c",
                  "ip": [
                    "10.88.0.7"
                  ],
                  "label": [
                    "app:web"
                  ],
                  "name": "web-7d4b9c6f5-x2x7p",
                  "parent": {
                    "type": "Deployment"
                  },
                  "type": "pod"
                },
                "type": "kubernetes"
              },
              "tidewaiter": {
                "container": {
                  "engine_socket": true,
                  "metadata": "complete",
                  "mounts": [
                    "/run:/host/run:ro"
                  ],
                  "started": "2026-11-22T00:13:54.000Z",
                  "terminal_input": false,
                  "user": "1000:0"
                }
              }
            }"#]]
        .assert_eq(&document);
    }

    #[test]
    fn a_pod_from_a_file_has_no_uid_that_the_api_server_would_know() {
        let mut container = pods_container();
        container.pod = Some(Arc::new(Pod {
            name: "etcd-node-1".to_owned(),
            uid: "0123456789abcdef0123456789abcdef".to_owned(),
            workload: Some(Workload {
                kind: Pod::STATIC,
                name: None,
                cron_job: None,
            }),
            ..Pod::default()
        }));
        let mut record = Record::with_schema(&own::SCHEMA);
        fill_metadata(&mut record, &Lookup::Complete(Arc::new(container)));
        let document = record.to_document();
        assert_eq!(document["kubernetes"].get("pod.uid"), None);
        assert_eq!(document["kubernetes"]["pod.name"], "etcd-node-1");
        assert_eq!(
            document["orchestrator"]["resource"]["id"],
            "0123456789abcdef0123456789abcdef"
        );
    }

    #[test]
    fn what_is_unknown_is_left_out_and_the_reason_given() {
        let mut record = Record::with_schema(&own::SCHEMA);
        fill_metadata(&mut record, &Lookup::Failed(LookupFailure::EngineUnreachable, None));
        let document = serde_json::to_string(&record.to_document()).unwrap();
        expect![[
            r#"{"tidewaiter":{"container":{"metadata":"failed","metadata_failure":"the engine cannot be reached"}}}"#
        ]]
        .assert_eq(&document);
    }
}
