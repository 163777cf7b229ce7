//! For the fuzz targets: any bytes as what an engine says. Never a panic, and what is made of them is bounded.

use super::containerd::Container;
use super::json::{Reader, Shape};
use super::oci::Specification;
use super::{containerd, cri, docker};
use crate::model::{EngineKind, Metadata};

/// The most that a container's description may take: its labels and mounts at their limits.
const METADATA_BYTES: usize = 64 * 1024;

/// As Docker's answers and events, in pieces of this size.
pub fn docker(bytes: &[u8], piece: usize) {
    for shape in [Shape::Values, Shape::Elements] {
        let mut reader = Reader::new(shape);
        for piece in bytes.chunks(piece.max(1)) {
            let read = reader.push(piece, &mut |read| {
                for kind in [EngineKind::Docker, EngineKind::Podman] {
                    check(&docker::metadata_of_answer(kind, &read.value));
                    docker::engine_event(kind, &read.value);
                }
                docker::container_of_list(&read.value);
            });
            if read.is_err() {
                break;
            }
        }
    }
}

/// As a message of containerd or of CRI.
pub fn grpc(bytes: &[u8]) {
    containerd::check_event(bytes);
    cri::check_messages(bytes, check);
    if let Some(container) = Container::of_answer(bytes) {
        container.labels().count();
        let specification = Specification::from_json(container.specification()).unwrap_or_default();
        specification.is_privileged();
        specification.mounts().count();
    }
}

fn check(metadata: &Metadata) {
    assert!(metadata.bytes() <= METADATA_BYTES, "{metadata:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder = format!("{}/../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let files = fs::read_dir(folder).expect("seeds");
        files
            .map(|file| fs::read(file.expect("a seed").path()).expect("a seed"))
            .collect()
    }

    /// Some bytes replaced, and a part of it again and again.
    fn damaged(mut bytes: Vec<u8>, replaced: &[(usize, u8)], (begin, length, times): (usize, usize, usize)) -> Vec<u8> {
        for (at, byte) in replaced {
            let at = at % bytes.len();
            bytes[at] = *byte;
        }
        let begin = begin % bytes.len();
        let part = bytes[begin..(begin + length).min(bytes.len())].repeat(times);
        bytes.splice(begin..begin, part);
        bytes
    }

    proptest! {
        #[test]
        fn no_damage_to_what_engines_say_makes_it_panic(
            seed: usize, piece: u8, replaced in prop::collection::vec(any::<(usize, u8)>(), 0..6),
            again in (any::<usize>(), 1..40_usize, 0..60_usize),
        ) {
            let [json, protobuf] = [seeds("engine_json"), seeds("engine_protobuf")];
            docker(&damaged(json[seed % json.len()][1..].to_vec(), &replaced, again), piece.into());
            grpc(&damaged(protobuf[seed % protobuf.len()].clone(), &replaced, again));
        }
    }
}
