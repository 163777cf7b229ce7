//! Any bytes as a message of containerd or of CRI: never a panic, and what is kept is bounded.
#![no_main]

use container_engines::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| fuzzing::grpc(message));
