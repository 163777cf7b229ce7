//! Any text as a cgroup path: never a panic, and every id is a piece of the path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::fuzzing::identify;

fuzz_target!(|path: &str| {
    let Some(identity) = identify(path) else {
        return;
    };
    assert!(path.contains(&identity.id));
    if let Some(outermost) = &identity.nested_in {
        assert!(path.contains(&outermost.id));
        assert_ne!(outermost.id, identity.id);
    }
    assert_eq!(identify(&format!("{path}/below")), Some(identity));
});
