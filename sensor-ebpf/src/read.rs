//! Reading kernel and user memory by address.
//!
//! A failed read yields zero, and reading through a zero address fails, so a chain of pointers needs no check at each
//! link: the result is zero if any of them is missing.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user};
use sensor_abi::KernelLayout;

/// An address in kernel memory; 0 for none.
pub type Address = u64;

/// The integer at `base + offset`.
#[inline(always)]
pub(crate) fn read<T: Copy + Default>(base: Address, offset: u32) -> T {
    let mut value = T::default();
    // SAFETY: the destination is ours and as long as stated; the helper checks the source and
    // zeroes the destination if it cannot be read.
    unsafe {
        bpf_probe_read_kernel(
            (&raw mut value).cast(),
            size_of::<T>() as u32,
            (base + offset as u64) as *const _,
        );
    }
    value
}

/// The pointer at `base + offset`.
#[inline(always)]
pub(crate) fn pointer(base: Address, offset: u32) -> Address {
    read::<u64>(base, offset)
}

/// The integer at `base + offset`, 0 if this kernel has no such field.
#[inline(always)]
pub(crate) fn read_optional<T: Copy + Default>(base: Address, offset: u32) -> T {
    if offset == KernelLayout::ABSENT {
        return T::default();
    }
    read(base, offset)
}

/// How much of a structure a [`Block`] covers.
const BLOCK_SIZE: usize = 192;

/// Where a [`Block`] is read to.
pub type BlockBytes = [u64; BLOCK_SIZE / 8];

/// The beginning of a structure, read with one helper call instead of one per field.
#[derive(Clone, Copy)]
pub struct Block {
    base: Address,
    bytes: *mut BlockBytes,
}

impl Block {
    /// Reads the structure at `base` into `bytes`, which stays in use as long as the block does.
    #[inline(always)]
    pub(crate) fn read(bytes: *mut BlockBytes, base: Address) -> Self {
        // SAFETY: the destination is as long as stated; as in `read`.
        unsafe { bpf_probe_read_kernel(bytes.cast(), BLOCK_SIZE as u32, base as *const _) };
        Block { base, bytes }
    }

    /// The integer at `offset` of the structure.
    #[inline(always)]
    pub(crate) fn get<T: Copy + Default>(self, offset: u32) -> T {
        if offset as usize > BLOCK_SIZE - size_of::<T>() {
            return read(self.base, offset);
        }
        // SAFETY: within the block, as checked above. Kernel structures are aligned, and so are blocks.
        unsafe { core::ptr::read_volatile(self.bytes.cast::<u8>().add(offset as usize).cast()) }
    }
}

/// Copies `length` bytes of the kernel's memory.
///
/// # Safety
/// `length` bytes from `destination` must be writable.
#[inline(always)]
pub(crate) unsafe fn bytes(destination: *mut u8, length: u64, source: Address) {
    // SAFETY: the caller's promise; the helper checks the source.
    unsafe { bpf_probe_read_kernel(destination.cast(), length as u32, source as *const _) };
}

/// Copies a string and its zero byte, at most `limit` bytes; returns the number of bytes written.
///
/// # Safety
/// `limit` bytes from `destination` must be writable.
#[inline(always)]
pub(crate) unsafe fn string(destination: *mut u8, limit: u32, source: Address) -> u64 {
    // SAFETY: the caller's promise; the helper checks the source.
    let written = unsafe { bpf_probe_read_kernel_str(destination.cast(), limit, source as *const _) };
    if written < 0 { 0 } else { written as u64 }
}

/// Copies `length` bytes of the current process's memory; returns whether they could be read.
///
/// # Safety
/// `length` bytes from `destination` must be writable.
#[inline(always)]
pub(crate) unsafe fn user_bytes(destination: *mut u8, length: u64, source: Address) -> bool {
    // SAFETY: the caller's promise; the helper checks the source.
    unsafe { bpf_probe_read_user(destination.cast(), length as u32, source as *const _) == 0 }
}
