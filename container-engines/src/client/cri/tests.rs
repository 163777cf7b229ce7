//! Answers as engines give them. Debian has no package of CRI-O, so its answers are assembled from what its users have
//! published: the fields, their spelling and their formats.

use super::messages::{ContainerMetadata, ContainerMount, ImageSpec};
use super::*;
use proptest::prelude::*;
use prost::Message;

const ID: &str = "73b954661456bc19e18a9d026b12d299c6089b75abf5f04bde0e349642450adf";

/// What `info` holds for a container of CRI-O.
const CRI_O_DETAILS: &str = r#"{
  "sandboxID": "5c8f0a1b2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f506172839400000000",
  "pid": 23412,
  "runtimeSpec": {
    "ociVersion": "1.0.2-dev",
    "process": {
      "user": {"uid": 1000, "gid": 2000, "additionalGids": [2000]},
      "args": ["redis-server"], "cwd": "/data",
      "capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN", "CAP_KILL"]}
    },
    "root": {"path": "/var/lib/containers/storage/overlay/x/merged"},
    "mounts": [
      {"destination": "/proc", "type": "proc", "source": "proc"},
      {"destination": "/etc/hosts", "type": "bind", "source": "/var/lib/kubelet/pods/6a1c/etc-hosts", "options": ["rw", "rbind"]}
    ],
    "annotations": {"io.kubernetes.cri-o.ContainerID": "73b9", "io.kubernetes.cri-o.ContainerType": "container"},
    "linux": {"resources": {"devices": [{"allow": false, "access": "rwm"}]}, "maskedPaths": ["/proc/kcore"]}
  },
  "privileged": false
}"#;

fn status() -> ContainerStatus {
    let labels = [
        ("io.kubernetes.container.name", "redis"),
        ("io.kubernetes.pod.name", "redis-0"),
        ("io.kubernetes.pod.namespace", "shop"),
        ("io.kubernetes.pod.uid", "6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab"),
    ];
    ContainerStatus {
        id: ID.to_owned(),
        metadata: Some(ContainerMetadata {
            name: "redis".to_owned(),
        }),
        started_at: 1_589_528_152_634_504_515,
        image: Some(ImageSpec {
            image: "quay.io/crio/redis:alpine".to_owned(),
        }),
        image_ref: "quay.io/crio/redis@sha256:1780b5a5496189974b94eb2595d86731d7a0820e4beb8ea770974298a943ed55"
            .to_owned(),
        image_id: String::new(),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        mounts: vec![
            ContainerMount {
                container_path: "/host/run".to_owned(),
                host_path: "/run".to_owned(),
                readonly: true,
            },
            ContainerMount {
                container_path: "/etc/hosts".to_owned(),
                host_path: "/var/lib/kubelet/pods/6a1c/etc-hosts".to_owned(),
                readonly: false,
            },
        ],
    }
}

fn details(json: &str) -> Details {
    serde_json::from_str(json).expect("details")
}

#[test]
fn an_answer_of_cri_o_is_read_whole() {
    let metadata = metadata_of_status(Runtime::CriO, status(), &details(CRI_O_DETAILS), None);
    assert_eq!(metadata.name, "redis");
    assert_eq!(metadata.image.name, "quay.io/crio/redis");
    assert_eq!(metadata.image.tag.as_deref(), Some("alpine"));
    assert_eq!(
        metadata.image.digests,
        ["sha256:1780b5a5496189974b94eb2595d86731d7a0820e4beb8ea770974298a943ed55"]
    );
    assert_eq!(metadata.privileged, Some(false));
    assert_eq!(metadata.user.as_deref(), Some("1000:2000"));
    assert_eq!(metadata.started, Some(1_589_528_152_634_504_515));
    assert_eq!(metadata.mounts, [Mount::new("/run", "/host/run", Access::ReadOnly)]);
    let pod = metadata.pod.expect("a pod");
    assert_eq!((pod.name.as_str(), pod.namespace.as_str()), ("redis-0", "shop"));
}

#[test]
fn each_engine_reports_privileged_in_its_own_way() {
    let privileged = |json: &str| details(json).is_privileged();
    assert_eq!(privileged(r#"{"privileged": true}"#), Some(true));
    assert_eq!(
        privileged(r#"{"config": {"linux": {"security_context": {"privileged": true}}}}"#),
        Some(true)
    );
    assert_eq!(
        privileged(r#"{"config": {"linux": {}}, "runtimeSpec": {}}"#),
        Some(false)
    );
    assert_eq!(privileged("{}"), None);
}

#[test]
fn an_answer_without_details_still_names_the_container() {
    let metadata = metadata_of_status(Runtime::CriO, status(), &Details::default(), None);
    assert_eq!(metadata.name, "redis");
    assert_eq!(metadata.privileged, None);
    assert_eq!(metadata.user, None);
}

#[test]
fn events_of_cri_are_translated() {
    let event = |kind| ContainerEventResponse {
        container_id: ID.to_owned(),
        container_event_type: kind,
        created_at: 7,
    };
    assert!(matches!(engine_event(event(0)), EngineEvent::Created(id, None) if id == ID));
    assert!(matches!(engine_event(event(1)), EngineEvent::Started(id, Some(7)) if id == ID));
    assert!(matches!(engine_event(event(2)), EngineEvent::Resync));
    assert!(matches!(engine_event(event(3)), EngineEvent::Removed(id) if id == ID));
    assert!(matches!(engine_event(event(99)), EngineEvent::Resync));
}

proptest! {
    #[test]
    fn no_bytes_of_an_answer_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), details in ".{0,80}") {
        let details: Details = serde_json::from_str(&details).unwrap_or_default();
        if let Ok(status) = ContainerStatus::decode(&*bytes) {
            metadata_of_status(Runtime::CriO, status, &details, None);
        }
    }

    #[test]
    fn no_damage_to_an_answer_makes_it_panic(at in 0..500usize, byte: u8) {
        let mut bytes = status().encode_to_vec();
        let length = bytes.len();
        bytes[at % length] = byte;
        if let Ok(status) = ContainerStatus::decode(&*bytes) {
            let metadata = metadata_of_status(Runtime::CriO, status, &Details::default(), None);
            prop_assert!(metadata.name.len() <= 512);
        }
    }
}
