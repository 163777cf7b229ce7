mod paths;

use std::mem::offset_of;

use proptest::prelude::*;
use sensor_abi::{
    ArgumentsFixed, ExecFixed, FLAG_ARGUMENTS_CONTINUE, FLAG_ARGUMENTS_CUT, FLAG_ENVIRONMENT_FOLLOWS,
    FLAG_EXECUTABLE_DETACHED, ProcessFixed,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::*;

fn exec_record(sequence: u64, flags: u16, parts: [&[u8]; 6]) -> Vec<u8> {
    let mut fixed = ExecFixed::new_zeroed();
    fixed.head.kind = RecordKind::Exec.number();
    fixed.head.flags = flags;
    fixed.head.sequence = sequence;
    fixed.process.pid = 7;
    let lengths = parts.map(|part| part.len() as u32);
    [
        fixed.executable_length,
        fixed.directory_length,
        fixed.cgroup_length,
        fixed.filename_length,
        fixed.groups_length,
        fixed.arguments_length,
    ] = lengths;
    [fixed.as_bytes(), &parts.concat()].concat()
}

fn arguments_record(sequence: u64, flags: u16, offset: u32, chunk: &[u8]) -> Vec<u8> {
    let mut fixed = ArgumentsFixed::new_zeroed();
    fixed.head.kind = RecordKind::Arguments.number();
    fixed.head.flags = flags;
    fixed.head.sequence = sequence;
    fixed.pid = 7;
    fixed.offset = offset;
    fixed.length = chunk.len() as u32;
    [fixed.as_bytes(), chunk].concat()
}

fn exit_record(sequence: u64) -> Vec<u8> {
    let mut record = ExitRecord::new_zeroed();
    record.head.kind = RecordKind::Exit.number();
    record.head.sequence = sequence;
    record.as_bytes().to_vec()
}

fn decode_all(records: &[Vec<u8>]) -> (Vec<KernelEvent>, Decoder) {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for record in records {
        let _ = decoder.push(record, &mut |event| events.push(event));
    }
    decoder.flush(&mut |event| events.push(event));
    (events, decoder)
}

fn only_exec(events: &[KernelEvent]) -> &Exec {
    match &events[0] {
        KernelEvent::Exec(exec) => exec,
        other => panic!("{other:?} is no exec"),
    }
}

#[test]
fn paths_are_turned_round_and_arguments_kept_as_they_are() {
    let parts: [&[u8]; 6] = [
        b"busybox\0bin\0",
        b"",
        b"abc\0docker\0",
        b"/bin/sh\0",
        &[7, 0, 0, 0, 0, 1, 0, 0],
        b"sh\0-c\0\xff\0",
    ];
    let (events, decoder) = decode_all(&[exec_record(1, 0, parts)]);
    let exec = only_exec(&events);
    assert_eq!(exec.executable, "/bin/busybox");
    assert_eq!(exec.working_directory, "/");
    assert_eq!(exec.cgroup, "/docker/abc");
    assert_eq!(exec.filename, "/bin/sh");
    assert_eq!(exec.groups, [7, 256]);
    assert_eq!(exec.arguments, b"sh\0-c\0\xff\0");
    assert!(exec.arguments_complete);
    assert_eq!(
        decoder.counts,
        DecodeCounts {
            received: 1,
            ..DecodeCounts::default()
        }
    );
}

#[test]
fn continued_arguments_are_joined() {
    let first = exec_record(1, FLAG_ARGUMENTS_CONTINUE, [b"", b"", b"", b"", b"", b"a\0b"]);
    let second = arguments_record(2, FLAG_ARGUMENTS_CONTINUE, 3, b"c\0");
    let third = arguments_record(3, 0, 5, b"d\0");
    let (events, _) = decode_all(&[first, second, third]);
    let exec = only_exec(&events);
    assert_eq!(exec.arguments, b"a\0bc\0d\0");
    assert!(exec.arguments_complete);
}

#[test]
fn of_arguments_past_the_limit_the_end_is_kept() {
    let first = exec_record(
        1,
        FLAG_ARGUMENTS_CONTINUE | FLAG_ARGUMENTS_CUT,
        [b"", b"", b"", b"", b"", b"sh\0xxx"],
    );
    let second = arguments_record(2, FLAG_ARGUMENTS_CONTINUE, 100, b"xx\0the");
    let third = arguments_record(3, 0, 106, b" end\0");
    let (events, _) = decode_all(&[first, second, third]);
    let exec = only_exec(&events);
    assert_eq!(exec.arguments, b"sh\0xxxxx\0the end\0");
    assert_eq!(exec.arguments_gap, Some(6));
    assert!(!exec.arguments_complete);
}

#[test]
fn the_environment_follows_the_arguments() {
    let record_of = |kind: u16, mut record: Vec<u8>| {
        record[..2].copy_from_slice(&kind.to_ne_bytes());
        record
    };
    let flags = FLAG_ARGUMENTS_CONTINUE | FLAG_ENVIRONMENT_FOLLOWS;
    let records = [
        exec_record(1, flags, [b"", b"", b"", b"", b"", b"a\0"]),
        arguments_record(2, 0, 2, b"b\0"),
        record_of(
            RecordKind::Environment.number(),
            arguments_record(3, FLAG_ARGUMENTS_CONTINUE, 0, b"A=1\0B"),
        ),
        record_of(
            RecordKind::Environment.number(),
            arguments_record(4, FLAG_ARGUMENTS_CUT, 5, b"=2\0"),
        ),
    ];
    let (events, decoder) = decode_all(&records);
    let exec = only_exec(&events);
    assert_eq!((events.len(), decoder.counts.damaged), (1, 0));
    assert!(exec.arguments_complete);
    assert_eq!(exec.environment, b"A=1\0B=2\0");
    assert!(!exec.environment_complete, "its end was left out");
}

#[test]
fn an_exec_whose_further_arguments_are_lost_is_emitted_and_says_so() {
    let first = || exec_record(1, FLAG_ARGUMENTS_CONTINUE, [b"", b"", b"", b"", b"", b"a\0b"]);
    for records in [
        vec![first(), exec_record(3, 0, [b"", b"", b"", b"", b"", b"z\0"])],
        vec![first(), arguments_record(3, 0, 3, b"late\0")],
        vec![first()],
    ] {
        let lost = records.len() as u64 - 1;
        let (events, decoder) = decode_all(&records);
        let exec = only_exec(&events);
        assert_eq!(exec.arguments, b"a\0b");
        assert!(!exec.arguments_complete);
        assert_eq!(decoder.counts.gaps, lost);
    }
}

#[test]
fn what_is_missing_behind_the_last_record_of_a_processor_is_a_gap_too() {
    let (_, mut decoder) = decode_all(&[exit_record(1), exit_record(3)]);
    let mut produced = [(0, ByFamily::default()), (1, ByFamily::default())];
    produced[0].1[Family::Exit.index()] = 5;
    produced[1].1[Family::Exec.index()] = 2;
    decoder.end(&produced);
    assert_eq!(decoder.counts.gaps, 1 + 2 + 2);
}

#[test]
fn a_detached_executable_is_named_as_its_file() {
    let record = exec_record(1, FLAG_EXECUTABLE_DETACHED, [b"memfd:x\0", b"", b"", b"", b"", b""]);
    assert_eq!(only_exec(&decode_all(&[record]).0).executable, "memfd:x");
}

/// A record with its processor and time, and its process where it is an exec's or an exit's.
fn record_at(cpu: u32, time_ns: u64, pid: u32, mut record: Vec<u8>) -> Vec<u8> {
    let (mut head, _) = RecordHead::read_from_prefix(&record).unwrap();
    (head.cpu, head.time_ns) = (cpu, time_ns);
    record[..size_of::<RecordHead>()].copy_from_slice(head.as_bytes());
    let pid_at = match RecordKind::from_number(head.kind) {
        Some(RecordKind::Arguments | RecordKind::Environment) => offset_of!(ArgumentsFixed, pid),
        _ => offset_of!(ExitRecord, process) + offset_of!(ProcessFixed, pid),
    };
    record[pid_at..pid_at + 4].copy_from_slice(&pid.to_ne_bytes());
    record
}

fn announcing(sequence: u64) -> Vec<u8> {
    exec_record(sequence, FLAG_ARGUMENTS_CONTINUE, [b"", b"", b"", b"", b"", b"a\0b"])
}

#[test]
fn what_preempts_an_exec_on_its_processor_does_not_end_it() {
    let records = [
        record_at(0, 10, 7, announcing(1)),
        record_at(0, 11, 8, exit_record(1)),
        record_at(0, 12, 7, arguments_record(2, 0, 3, b"c\0")),
    ];
    let (events, decoder) = decode_all(&records);
    assert!(matches!(events[0], KernelEvent::Exit(_)));
    let KernelEvent::Exec(exec) = &events[1] else {
        panic!("{:?} is no exec", events[1])
    };
    assert_eq!(
        (exec.arguments.as_slice(), exec.arguments_complete),
        (&b"a\0bc\0"[..], true)
    );
    assert_eq!((decoder.counts.gaps, decoder.counts.unfinished), (0, 0));
}

#[test]
fn an_exec_whose_rest_does_not_come_is_emitted_before_what_its_process_does_next() {
    let records = [
        record_at(0, 10, 7, announcing(1)),
        // On another processor, before anything else comes from that one.
        record_at(1, 11, 7, exit_record(1)),
    ];
    let (events, decoder) = decode_all(&records);
    assert!(!only_exec(&events).arguments_complete);
    assert!(matches!(events[1], KernelEvent::Exit(_)));
    assert_eq!((events.len(), decoder.counts.unfinished), (2, 1));
}

#[test]
fn an_exec_whose_rest_does_not_come_waits_no_longer_than_it_may_however_busy_the_others_are() {
    let mut decoder = Decoder::default();
    let mut emitted_at = Vec::new();
    let mut push = |time_ns, record: Vec<u8>| {
        let mut emit = |event| {
            if matches!(event, KernelEvent::Exec(_)) {
                emitted_at.push(time_ns);
            }
        };
        decoder.push(&record, &mut emit).unwrap();
    };
    push(0, record_at(0, 0, 7, announcing(1)));
    for sequence in 1..=20 {
        let time_ns = sequence * UNFINISHED_FOR_NS / 10;
        push(
            time_ns,
            record_at(1, time_ns, 1000 + sequence as u32, exit_record(sequence)),
        );
    }
    assert_eq!(emitted_at, [UNFINISHED_FOR_NS + UNFINISHED_FOR_NS / 10]);
}

#[test]
fn a_rest_that_comes_too_late_is_counted_and_damages_nothing() {
    let mut decoder = Decoder::default();
    decoder.push(&announcing(1), &mut |_| {}).unwrap();
    decoder.expire(UNFINISHED_FOR_NS + 1, &mut |_| {});
    let result = decoder.push(&arguments_record(2, 0, 3, b"c\0"), &mut |_| {});
    assert_eq!(result, Err(DecodeError::Orphan));
    let DecodeCounts {
        late,
        damaged,
        unfinished,
        ..
    } = decoder.counts;
    assert_eq!((late, damaged, unfinished), (1, 0, 1));
}

/// What becomes of a record on its way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Comes,
    IsLost,
    /// The next one of all overtakes it.
    IsOvertaken,
}

proptest! {
    #[test]
    fn whatever_is_lost_or_overtaken_made_is_received_and_lost(
        records in prop::collection::vec((0..3u32, any::<bool>(), prop_oneof![
            4 => Just(Fate::Comes), 1 => Just(Fate::IsLost), 1 => Just(Fate::IsOvertaken),
        ]), 0..60),
    ) {
        let mut produced: Vec<(u32, ByFamily)> = (0..3).map(|cpu| (cpu, ByFamily::default())).collect();
        let (mut sent, mut lost, mut held) = (Vec::new(), 0, None);
        for (cpu, is_exec, fate) in records {
            let family = if is_exec { Family::Exec } else { Family::Exit };
            let sequence = &mut produced[cpu as usize].1[family.index()];
            *sequence += 1;
            let record = match family {
                Family::Exec => exec_record(*sequence, 0, [b"", b"", b"", b"", b"", b"a\0"]),
                _ => exit_record(*sequence),
            };
            let record = record_at(cpu, 0, 7, record);
            match fate {
                Fate::Comes => sent.push(record),
                Fate::IsLost => lost += 1,
                Fate::IsOvertaken => sent.extend(held.replace(record)),
            }
            if matches!(fate, Fate::Comes) {
                sent.extend(held.take());
            }
        }
        sent.extend(held);
        let (events, mut decoder) = decode_all(&sent);
        decoder.end(&produced);
        prop_assert_eq!(events.len(), sent.len());
        prop_assert_eq!(decoder.counts.received, sent.len() as u64);
        prop_assert_eq!(decoder.counts.gaps, lost);
        prop_assert_eq!(decoder.counts.damaged, 0);
    }

    #[test]
    fn arguments_whose_pieces_are_missing_or_swapped_are_a_true_beginning_and_say_so(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..6), 2..12),
        swaps in prop::collection::vec((0..12usize, 0..12usize), 0..3),
        missing in prop::collection::vec(0..12usize, 0..2),
    ) {
        let (first, rest) = pieces.split_first().expect("there are two");
        let parts: [&[u8]; 6] = [b"", b"", b"", b"", b"", first];
        let mut offset = first.len() as u32;
        let mut further = Vec::new();
        for (index, piece) in rest.iter().enumerate() {
            let flags = if index + 1 < rest.len() { FLAG_ARGUMENTS_CONTINUE } else { 0 };
            further.push((index, arguments_record(2 + index as u64, flags, offset, piece)));
            offset += piece.len() as u32;
        }
        for (one, other) in swaps {
            further.swap(one % rest.len(), other % rest.len());
        }
        further.retain(|(index, _)| !missing.contains(index));
        let in_order = further.iter().enumerate().take_while(|(place, (index, _))| place == index).count();
        let mut records = vec![exec_record(1, FLAG_ARGUMENTS_CONTINUE, parts)];
        records.extend(further.into_iter().map(|(_, record)| record));
        let (events, _) = decode_all(&records);
        prop_assert_eq!(events.len(), 1);
        let exec = only_exec(&events);
        prop_assert_eq!(&exec.arguments, &pieces[..=in_order].concat());
        prop_assert_eq!(exec.arguments_complete, in_order == rest.len());
        prop_assert_eq!(exec.arguments_gap, None);
    }

    #[test]
    fn every_exec_is_emitted_once_and_before_its_end_with_a_beginning_of_its_arguments(
        // For each exec: its processor, how many chunks follow, which of them are lost.
        execs in prop::collection::vec((0..2u32, 0..4u64, prop::collection::vec(any::<bool>(), 4)), 1..12),
        order in prop::collection::vec(0..2usize, 0..120),
    ) {
        // What each processor sends, in its order; the processors' records may come in any order between each other.
        let mut queues = [Vec::new(), Vec::new()];
        let mut sequences = [(0, 0); 2];
        for (index, (cpu, chunks, lost)) in execs.iter().enumerate() {
            let pid = 100 + index as u32;
            let (exec_sequence, exit_sequence) = &mut sequences[*cpu as usize];
            let queue = &mut queues[*cpu as usize];
            *exec_sequence += 1;
            let flags = if *chunks > 0 { FLAG_ARGUMENTS_CONTINUE } else { 0 };
            let parts: [&[u8]; 6] = [b"", b"", b"", b"", b"", b"0\0"];
            queue.push(record_at(*cpu, 0, pid, exec_record(*exec_sequence, flags, parts)));
            for chunk in 1..=*chunks {
                *exec_sequence += 1;
                let flags = if chunk < *chunks { FLAG_ARGUMENTS_CONTINUE } else { 0 };
                if !lost[chunk as usize - 1] {
                    let offset = 2 * chunk as u32;
                    queue.push(record_at(*cpu, 0, pid, arguments_record(*exec_sequence, flags, offset, b"0\0")));
                }
            }
            *exit_sequence += 1;
            queue.push(record_at(*cpu, 0, pid, exit_record(*exit_sequence)));
        }
        let mut queues = queues.map(|queue| queue.into_iter());
        let mut sent: Vec<_> = order.iter().filter_map(|cpu| queues[*cpu].next()).collect();
        sent.extend(queues.into_iter().flatten());

        let (events, decoder) = decode_all(&sent);
        let mut ended = Vec::new();
        let mut begun = Vec::new();
        for event in &events {
            match event {
                KernelEvent::Exec(exec) => {
                    let pid = exec.fixed.process.pid;
                    prop_assert!(!begun.contains(&pid) && !ended.contains(&pid));
                    begun.push(pid);
                    let (_, chunks, lost) = &execs[pid as usize - 100];
                    let came = lost.iter().take(*chunks as usize).take_while(|lost| !**lost).count();
                    prop_assert_eq!(exec.arguments.len(), 2 * (1 + came));
                    prop_assert_eq!(exec.arguments_complete, came as u64 == *chunks);
                }
                KernelEvent::Exit(exit) => ended.push(exit.process.pid),
                KernelEvent::Fork(_) | KernelEvent::Signal(_) => {}
            }
        }
        prop_assert_eq!((begun.len(), ended.len()), (execs.len(), execs.len()));
        let is_short = |(_, chunks, lost): &&(u32, u64, Vec<bool>)| lost.iter().take(*chunks as usize).any(|lost| *lost);
        prop_assert_eq!(decoder.counts.unfinished, execs.iter().filter(is_short).count() as u64);
    }

    #[test]
    fn no_bytes_make_it_panic(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..8)) {
        let (_, decoder) = decode_all(&records);
        prop_assert_eq!(decoder.counts.received, records.len() as u64);
    }

    #[test]
    fn no_damage_to_a_record_makes_it_panic(at in 0..350usize, byte: u8, cut in 0..350usize) {
        let mut record = exec_record(1, FLAG_ARGUMENTS_CONTINUE, [b"sh\0bin\0", b"tmp\0", b"x\0", b"sh\0", b"abcd", b"a\0b\0"]);
        let length = record.len();
        record[at % length] = byte;
        record.truncate(length - cut % length);
        decode_all(&[record, arguments_record(2, 0, 4, b"rest\0"), exit_record(3)]);
    }
}
