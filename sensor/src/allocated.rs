//! What tests have allocated, to compare with what is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what each thread has allocated, as the C library rounds it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ALLOCATED: Cell<isize> = const { Cell::new(0) };
}

fn count(pointer: *mut u8, sign: isize) {
    const HEADER: usize = 8;
    if !pointer.is_null() {
        // SAFETY: the pointer is one of the C library's, which `System` is made of.
        let usable = unsafe { libc::malloc_usable_size(pointer.cast()) };
        let bytes = sign * (usable + HEADER).cast_signed();
        let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + bytes));
    }
}

// SAFETY: everything is left to `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let pointer = unsafe { System.alloc(layout) };
        count(pointer, 1);
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(pointer, -1);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Bytes that this thread has allocated and not freed.
pub(crate) fn allocated() -> isize {
    ALLOCATED.get()
}
