//! The binary `tidewaiter`; all it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sensor::main()
}
