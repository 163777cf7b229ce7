//! Paths as texts, without detours.

/// Whether an absolute path has no detours.
pub(super) fn is_plain(path: &str) -> bool {
    let is_detour = |name: &[u8]| matches!(name, b"" | b"." | b"..");
    let has_detour = |path: &[u8]| path.split(|byte| *byte == b'/').any(is_detour);
    path.strip_prefix('/').is_some_and(|path| !has_detour(path.as_bytes()))
}

/// Whether it is one component, and no detour.
fn is_component(path: &str) -> bool {
    !matches!(path, "" | "." | "..") && memchr::memchr(b'/', path.as_bytes()).is_none()
}

/// Follows `path` from the one without detours that `onto` holds, where the root is empty.
pub(super) fn append(onto: &mut String, path: &str) {
    if is_component(path) {
        onto.push('/');
        return onto.push_str(path);
    }
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => onto.truncate(onto.rfind('/').unwrap_or(0)),
            name => {
                onto.push('/');
                onto.push_str(name);
            }
        }
    }
}
