//! Terminals and other devices, by their numbers.

use libc::{S_IFCHR, S_IFMT};
use sensor_abi::Descriptor;

/// A kernel `dev_t`'s major and minor number.
pub(crate) fn device_numbers(device: u32) -> (u32, u32) {
    (device >> 20, device & 0xf_ffff)
}

/// `/dev/tty`: by definition the controlling terminal of the process that opens it.
const DEV_TTY: u32 = 5 << 20;

/// What ECS calls interactive: descriptors 0 and 2 are the controlling terminal. `/dev/tty` counts too, as
/// another name of it.
pub(super) fn is_on_terminal(terminal: u32, descriptors: &[Descriptor; 3]) -> bool {
    terminal != 0
        && [&descriptors[0], &descriptors[2]].iter().all(|descriptor| {
            descriptor.mode & S_IFMT == S_IFCHR && (descriptor.device == terminal || descriptor.device == DEV_TTY)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_on_a_terminal_with_the_controlling_terminal_on_input_and_error() {
        let tty = 136 << 20 | 3;
        let terminal = |device| Descriptor {
            mode: S_IFCHR | 0o620,
            device,
        };
        let pipe = Descriptor {
            mode: 0o010_600,
            device: 0,
        };
        let null = terminal(1 << 20 | 3);
        let on = terminal(tty);
        assert!(is_on_terminal(tty, &[on, on, on]));
        assert!(is_on_terminal(tty, &[on, pipe, on]), "output may go elsewhere");
        assert!(is_on_terminal(tty, &[terminal(DEV_TTY), pipe, on]));
        assert!(!is_on_terminal(tty, &[null, on, on]));
        assert!(!is_on_terminal(tty, &[on, on, pipe]));
        assert!(!is_on_terminal(0, &[on, on, on]), "no controlling terminal");
        assert!(!is_on_terminal(136 << 20 | 4, &[on, on, on]), "another terminal");
    }
}
