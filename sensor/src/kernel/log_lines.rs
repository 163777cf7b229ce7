//! The kernel side's trace lines, forwarded to the agent's log.

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

use super::error::KernelError;

/// The lines written by the kernel side.
pub(crate) struct KernelLog(EbpfLogger<Lines>);

impl KernelLog {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let logger = EbpfLogger::init_with_logger(ebpf, Lines);
        logger
            .map(KernelLog)
            .map_err(|error| KernelError::new("find the kernel side's log", &error))
    }

    /// Forwards the lines written since the last call.
    pub(crate) fn write(&mut self) {
        self.0.flush();
    }
}

struct Lines;

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        tracing::trace!("kernel side: {}", record.args());
    }

    fn flush(&self) {}
}
