//! The kernel side of Tidewaiter: every fork, exec and exit, and each signal that somebody sends to the sensor, as a record
//! in one ring buffer.
//!
//! It runs on BTF tracepoints alone (`tp_btf`, Linux 5.10 and later): no kprobes, no LSM. It knows
//! no structure of the kernel: every offset comes from [`layout`], which the agent fills from the
//! running kernel's BTF before load. A record that does not fit into the ring buffer is counted.
#![no_std]
#![no_main]

mod emit;
mod file;
mod hooks;
mod layout;
mod log;
mod path;
mod read;
mod ring;
mod scratch;
mod share;
mod task;
mod tasks;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
