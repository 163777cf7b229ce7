//! `odd_exec memory PROGRAM ARGUMENT...`: becomes a copy of the program that is in memory alone.
//! `odd_exec deleted PROGRAM ARGUMENT...`: becomes the program after its file is gone.
//! `odd_exec joined NAMESPACE PROGRAM ARGUMENT...`: becomes the program in another namespace, by the file of that.
//! `odd_exec rooted FOLDER PROGRAM ARGUMENT...`: becomes the program with that folder for its root.
//! `odd_exec capability FILE`: gives the file the capability to use raw sockets.

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::fs::chroot;

unsafe extern "C" {
    fn memfd_create(name: *const c_char, flags: c_uint) -> c_int;
    fn fexecve(file: c_int, arguments: *const *const c_char, environment: *const *const c_char) -> c_int;
    fn setns(file: c_int, kind: c_int) -> c_int;
    fn setxattr(path: *const c_char, name: *const c_char, value: *const c_void, size: usize, flags: c_int) -> c_int;
}

/// Version 2 of the attribute, effective; permitted is `CAP_NET_RAW`, which has the number 13.
const CAPABILITY: [u32; 5] = [0x0200_0001, 1 << 13, 0, 0, 0];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["memory", program, ..] => {
            // SAFETY: a C string; the descriptor is new and ours.
            let mut file = unsafe { File::from_raw_fd(memfd_create(c"hidden".as_ptr(), 0)) };
            file.write_all(&fs::read(program).expect("the program can be read"))
                .expect("memory can be written");
            become_file(&file, &arguments[2..]);
        }
        ["deleted", program, ..] => {
            let file = File::open(program).expect("the program can be opened");
            fs::remove_file(program).expect("the program can be removed");
            become_file(&file, &arguments[2..]);
        }
        ["joined", namespace, program, ..] => {
            let namespace = File::open(namespace).expect("the namespace can be opened");
            // SAFETY: the descriptor is ours.
            let result = unsafe { setns(namespace.as_raw_fd(), 0) };
            assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
            become_file(&File::open(program).expect("the program can be opened"), &arguments[2..]);
        }
        ["rooted", folder, program, ..] => {
            chroot(folder).expect("the folder can be made the root");
            become_file(&File::open(program).expect("the program can be opened"), &arguments[2..]);
        }
        ["capability", file] => {
            let file = CString::new(file).expect("no zero byte");
            // SAFETY: C strings, and as many bytes as stated.
            let result = unsafe {
                setxattr(
                    file.as_ptr(),
                    c"security.capability".as_ptr(),
                    CAPABILITY.as_ptr().cast(),
                    size_of_val(&CAPABILITY),
                    0,
                )
            };
            assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        }
        _ => panic!("usage: odd_exec memory|deleted PROGRAM ARGUMENT... | joined|rooted PLACE PROGRAM ARGUMENT... | capability FILE"),
    }
}

fn become_file(file: &File, arguments: &[String]) {
    let arguments: Vec<CString> = arguments
        .iter()
        .map(|argument| CString::new(argument.as_str()).expect("no zero byte"))
        .collect();
    let mut pointers: Vec<*const c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let environment = [std::ptr::null()];
    // SAFETY: lists of C strings that end with a null pointer.
    unsafe { fexecve(file.as_raw_fd(), pointers.as_ptr(), environment.as_ptr()) };
    panic!("could not become the program: {}", std::io::Error::last_os_error());
}
