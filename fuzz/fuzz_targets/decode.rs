//! Any bytes as records of the ring buffer: counted, never a panic; every event goes through the process table.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::fuzzing::{Decoder, KernelEvent, ProcessTable};

fuzz_target!(|records: Vec<Vec<u8>>| {
    let mut decoder = Decoder::default();
    let mut table = ProcessTable::default();
    let mut take_in = |event: KernelEvent| {
        let key = match &event {
            KernelEvent::Fork(fork) => Some(table.fork(fork, &mut |_| None)),
            KernelEvent::Exec(exec) => Some(table.exec(exec)),
            KernelEvent::Exit(exit) => table.exit(exit),
            KernelEvent::Signal(_) => None,
        };
        assert!(key.is_none_or(|key| table.chain(key).len() <= 64));
    };
    for record in &records {
        let _ = decoder.push(record, &mut take_in);
    }
    decoder.flush(&mut take_in);
    assert_eq!(decoder.counts.received, records.len() as u64);
});
