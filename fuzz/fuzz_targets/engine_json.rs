//! Any bytes as what a Docker engine answers, in pieces of any size: never a panic, and what is kept is bounded.
#![no_main]

use container_engines::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((piece, bytes)) = input.split_first() else {
        return;
    };
    fuzzing::docker(bytes, usize::from(*piece));
});
