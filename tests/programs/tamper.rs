//! `tamper ID..`: tries to overwrite the maps with these ids, and prints the name of each with what came of it. What
//! somebody does who was given too much in a container. For x86-64.

use std::env;
use std::ffi::{c_int, c_long, c_void};
use std::io::Error;
use std::ptr;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

const SYSTEM_CALL_BPF: c_long = 321;

const MAP_UPDATE: c_int = 2;
const MAP_DELETE: c_int = 3;
const MAP_BY_ID: c_int = 14;
const INFO_BY_DESCRIPTOR: c_int = 15;
const PROGRAM_ARRAY: u32 = 3;

/// As long as the longest value of a map.
const VALUE_SIZE: usize = 1 << 20;

fn main() {
    for id in env::args().skip(1) {
        overwrite(id.parse().expect("usage: tamper ID.."));
    }
}

/// Empties the first element of a map.
fn overwrite(id: u32) {
    let map = bpf(MAP_BY_ID, &[u64::from(id)]).expect("the map's id") as u64;
    let mut info = [0_u32; 20];
    let size = size_of_val(&info) as u64;
    bpf(INFO_BY_DESCRIPTOR, &[size << 32 | map, info.as_mut_ptr() as u64]).expect("what the map is");
    let name: Vec<u8> = info[6..10].iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
    let (key, value) = (0_u64, vec![0_u8; VALUE_SIZE]);
    let result = match info[0] {
        PROGRAM_ARRAY => bpf(MAP_DELETE, &[map, address(&key)]),
        _ => bpf(MAP_UPDATE, &[map, address(&key), value.as_ptr() as u64, 0]),
    };
    let result = if result.is_ok() { "changed" } else { "refused" };
    println!("{} {result}", String::from_utf8_lossy(&name));
}

fn bpf(command: c_int, attributes: &[u64]) -> Result<c_long, Error> {
    let size = size_of_val(attributes);
    let result = unsafe { syscall(SYSTEM_CALL_BPF, command, attributes.as_ptr(), size) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

fn address<T: ?Sized>(value: &T) -> u64 {
    ptr::from_ref(value).cast::<c_void>() as u64
}
