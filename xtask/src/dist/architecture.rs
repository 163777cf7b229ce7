//! The processors that there are artifacts for, and what each is called by whom.

/// One processor's names.
#[derive(Debug)]
pub(crate) struct Architecture {
    /// The kernel's, and that of files.
    pub name: &'static str,
    /// Rust's.
    pub target: &'static str,
    /// Of container images.
    pub oci: &'static str,
    /// Debian's.
    pub debian: &'static str,
    /// The C compiler, which links.
    pub compiler: &'static str,
}

impl Architecture {
    pub(crate) const ALL: [&'static Self; 1] = [&X86_64];
}

const X86_64: Architecture = Architecture {
    name: "x86_64",
    target: "x86_64-unknown-linux-musl",
    oci: "amd64",
    debian: "amd64",
    compiler: "x86_64-linux-gnu-gcc",
};
