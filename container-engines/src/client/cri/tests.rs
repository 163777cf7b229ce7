//! Answers as engines give them. Debian has no package of CRI-O, so its answers are assembled from what its users have
//! published: the fields, their spelling and their formats.

use super::*;
use proptest::prelude::*;

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

/// An answer with one status.
fn status() -> Vec<u8> {
    let labels = [
        ("io.kubernetes.container.name", "redis"),
        ("io.kubernetes.pod.name", "redis-0"),
        ("io.kubernetes.pod.namespace", "shop"),
        ("io.kubernetes.pod.uid", "6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab"),
    ];
    let message = Request::default;
    let mount = |path: &str, host_path: &str| message().text(1, path).text(2, host_path);
    let mut status = message()
        .text(1, ID)
        .bytes(2, &message().text(1, "redis").0)
        .bytes(8, &message().text(1, "quay.io/crio/redis:alpine").0)
        .text(
            9,
            "quay.io/crio/redis@sha256:1780b5a5496189974b94eb2595d86731d7a0820e4beb8ea770974298a943ed55",
        );
    for (key, value) in labels {
        status = status.bytes(12, &message().text(1, key).text(2, value).0);
    }
    let status = status
        .bytes(14, &mount("/host/run", "/run").flag(3).0)
        .bytes(14, &mount("/etc/hosts", "/var/lib/kubelet/pods/6a1c/etc-hosts").0);
    // Field 5, a number: 1589528152634504515.
    let started = [0x28, 0xc3, 0xea, 0x8c, 0x92, 0xee, 0xed, 0xc8, 0x87, 0x16];
    message().bytes(1, &[&status.0[..], &started].concat()).0
}

fn read(answer: &[u8], details: &Details) -> Metadata {
    metadata_of_status(
        Runtime::CriO,
        ContainerStatus::of_answer(answer).expect("a status"),
        details,
    )
}

fn details(json: &str) -> Details {
    Details(value_of(json.as_bytes()).expect("details"))
}

#[test]
fn an_answer_of_cri_o_is_read_whole() {
    let metadata = read(&status(), &details(CRI_O_DETAILS));
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
fn whether_a_terminal_is_open_for_input_is_told_where_there_is_one_and_the_engine_says_it() {
    let input = |json: &str| read(&status(), &details(json)).terminal_input;
    assert_eq!(input(r#"{"config": {"tty": true, "stdin": true}}"#), Some(true));
    // What is not so is not written.
    assert_eq!(input(r#"{"config": {"tty": true}}"#), Some(false));
    assert_eq!(input(r#"{"config": {"stdin": true}}"#), None);
    assert_eq!(input(CRI_O_DETAILS), None);
}

#[test]
fn an_answer_without_details_still_names_the_container() {
    let metadata = read(&status(), &Details::default());
    assert_eq!(metadata.name, "redis");
    assert_eq!(metadata.privileged, None);
    assert_eq!(metadata.user, None);
}

#[test]
fn events_of_cri_are_translated() {
    let event = |id: &str, kind| {
        let bytes = [&Request::default().text(1, id).0[..], &[0x10, kind, 0x18, 7]].concat();
        engine_event(&ContainerEvent::of(&bytes))
    };
    assert!(matches!(event(ID, 0), EngineEvent::Created(id, None) if id == ID));
    assert!(matches!(event(ID, 1), EngineEvent::Started(id, Some(7)) if id == ID));
    assert!(matches!(event(ID, 2), EngineEvent::Resync));
    assert!(matches!(event(ID, 3), EngineEvent::Removed(id) if id == ID));
    assert!(matches!(event(ID, 99), EngineEvent::Resync));
    assert!(matches!(event("../x", 0), EngineEvent::Resync));
}

proptest! {
    #[test]
    fn no_bytes_of_an_answer_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), details in ".{0,80}") {
        let details = Details(value_of(details.as_bytes()).unwrap_or_default());
        if let Some(status) = ContainerStatus::of_answer(&bytes) {
            metadata_of_status(Runtime::CriO, status, &details);
        }
    }

    #[test]
    fn no_damage_to_an_answer_makes_it_panic(at in 0..500usize, byte: u8) {
        let mut bytes = status();
        let length = bytes.len();
        bytes[at % length] = byte;
        if let Some(status) = ContainerStatus::of_answer(&bytes) {
            let metadata = metadata_of_status(Runtime::CriO, status, &Details::default());
            prop_assert!(metadata.name.len() <= 512);
        }
    }
}
