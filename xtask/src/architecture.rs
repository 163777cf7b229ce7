//! The processors that there are artifacts for and kernels to try them on, and what each is called by whom.

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
    /// The file that loads shared libraries.
    pub loader: &'static str,
    pub machine: Machine,
}

/// What QEMU emulates of it.
#[derive(Debug)]
pub(crate) struct Machine {
    pub program: &'static str,
    pub arguments: &'static [&'static str],
    /// The serial port for results, beside that of the console.
    pub second_port: &'static str,
    /// The kernel's names for the two ports.
    pub console: &'static str,
    pub results: &'static str,
}

impl Architecture {
    pub(crate) const ALL: [&'static Self; 2] = [&X86_64, &AARCH64];

    /// The one that this program is built for.
    pub(crate) fn of_this_machine() -> &'static Self {
        if cfg!(target_arch = "aarch64") {
            &AARCH64
        } else {
            &X86_64
        }
    }

    /// By the kernel's name for it.
    pub(crate) fn named(name: &str) -> Result<&'static Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|architecture| architecture.name == name).ok_or_else(|| {
            let names = Self::ALL.map(|architecture| architecture.name);
            format!("there are {}", names.join(" and "))
        })
    }
}

pub(crate) const X86_64: Architecture = Architecture {
    name: "x86_64",
    target: "x86_64-unknown-linux-musl",
    oci: "amd64",
    debian: "amd64",
    compiler: "x86_64-linux-gnu-gcc",
    loader: "ld-linux-x86-64.so.2",
    machine: Machine {
        program: "qemu-system-x86_64",
        arguments: &["-machine", "q35", "-cpu", "max"],
        second_port: "isa-serial,chardev=results",
        console: "ttyS0",
        results: "ttyS1",
    },
};

pub(crate) const AARCH64: Architecture = Architecture {
    name: "aarch64",
    target: "aarch64-unknown-linux-musl",
    oci: "arm64",
    debian: "arm64",
    compiler: "aarch64-linux-gnu-gcc",
    loader: "ld-linux-aarch64.so.1",
    machine: Machine {
        program: "qemu-system-aarch64",
        // A server's processor. `max` signs pointers, which takes long to emulate.
        arguments: &["-machine", "virt", "-cpu", "neoverse-n1"],
        second_port: "pci-serial,chardev=results",
        console: "ttyAMA0",
        results: "ttyS0",
    },
};
