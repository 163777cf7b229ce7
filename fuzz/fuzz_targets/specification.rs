//! Any bytes as the OCI specification that an engine keeps of a container: never a panic, and every text is cut to size.
#![no_main]

use libfuzzer_sys::fuzz_target;
use container_engines::Specification;

fuzz_target!(|json: &[u8]| {
    let Some(specification) = Specification::from_json(json) else {
        return;
    };
    specification.is_privileged();
    specification.user();
    for mount in specification.mounts() {
        assert!(mount.source.len() <= 512 && mount.destination.len() <= 512);
        mount.reaches_engine();
    }
});
