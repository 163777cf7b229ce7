//! Why the kernel side cannot run.

use std::io;

use thiserror::Error;

use super::btf::BtfError;
use super::resolve::BTF_PATH;

/// What the verifier says of the helper that it does not offer under lockdown (Linux 5.13 and later).
const LOCKED_DOWN: [&str; 2] = [
    "unknown func bpf_probe_read_kernel#",
    "cannot use helper bpf_probe_read_kernel#",
];

/// Each message says what to do about it.
#[derive(Debug, Error)]
pub(crate) enum KernelError {
    #[error(
        "the kernel's type information cannot be read from {BTF_PATH}: {0}; the sensor needs a kernel with CONFIG_DEBUG_INFO_BTF, and /sys mounted"
    )]
    NoBtf(#[source] io::Error),
    #[error("{BTF_PATH}: {0}")]
    UnreadableBtf(#[from] BtfError),
    #[error("this kernel lacks what the sensor needs: {}; please report the kernel's version", .0.join(", "))]
    Missing(Vec<String>),
    #[error(
        "the kernel refused to {action}: {error}; the sensor needs root, or CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, and in a container --privileged; `tidewaiter doctor` says what is missing"
    )]
    NotPermitted { action: String, error: io::Error },
    #[error(
        "the kernel is locked down to confidentiality: eBPF programs may not read its memory, so it refused to {action}; boot with lockdown=integrity or less"
    )]
    LockedDown { action: String },
    #[error("could not {action}: {error}")]
    Refused { action: String, error: String },
}

impl KernelError {
    pub(super) fn new(action: impl Into<String>, error: &(dyn std::error::Error + 'static)) -> Self {
        let action = action.into();
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            if let Some(io_error) = error.downcast_ref::<io::Error>()
                && io_error.kind() == io::ErrorKind::PermissionDenied
                && let Some(code) = io_error.raw_os_error()
            {
                let error = io::Error::from_raw_os_error(code);
                return KernelError::NotPermitted { action, error };
            }
            text = format!("{text}: {error}");
            source = error.source();
        }
        if LOCKED_DOWN.iter().any(|words| text.contains(words)) {
            return KernelError::LockedDown { action };
        }
        KernelError::Refused { action, error: text }
    }
}
