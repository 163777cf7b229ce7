//! Memory that the start needed and the running sensor does not, given back to the system.

use std::ffi::c_void;
use std::ptr::NonNull;

use nix::sys::mman::{MmapAdvise, madvise};

/// The C library's own initial limit.
#[cfg(target_env = "gnu")]
const LARGE_ALLOCATION: i32 = 128 * 1024;

/// Has every large allocation go back to the system when it is freed. The C library would raise the limit from which
/// on it does so to the size of the first one freed, the kernel's type information, and keep up to that much for good.
pub(crate) fn return_large_allocations() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number in the allocator, under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_ALLOCATION);
    }
}

/// Has the system take back the pages of code that the start has run through; what runs on comes from the file again.
pub(crate) fn return_start_up_code() {
    let Ok(maps) = procfs::process::Process::myself().and_then(|process| process.maps()) else {
        return;
    };
    let here = return_start_up_code as *const () as u64;
    let Some(code) = maps.iter().find(|map| map.address.0 <= here && here < map.address.1) else {
        return;
    };
    if let Some(begin) = NonNull::new(code.address.0 as *mut c_void) {
        let length = (code.address.1 - code.address.0) as usize;
        // SAFETY: code is mapped from the program's file and never written to, so what is read again is the same.
        let _ = unsafe { madvise(begin, length, MmapAdvise::MADV_DONTNEED) };
    }
}

/// Gives back what reading rules, the kernel's type information and `/proc` left behind in the allocator.
pub(crate) fn return_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: frees unused pages of the allocator, under its own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
