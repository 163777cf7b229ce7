//! Each path of an exec, and what is left out of it.

use sensor_abi::FLAG_EXECUTABLE_OUTSIDE_ROOT;

use super::*;

/// An exec whose cgroup, executable, working directory and root go on behind their first parts.
fn deep_exec_record(flags: u16, firsts: [&[u8]; 4], rests: [&[u8]; 4]) -> Vec<u8> {
    let [cgroup, executable, directory, root] = firsts;
    let both = [directory, root].concat();
    let mut record = exec_record(1, flags, [executable, &both, cgroup, b"./x\0", b"", b"x\0"]);
    let (mut fixed, _) = ExecFixed::read_from_prefix(&record).unwrap();
    (fixed.directory_length, fixed.root_length) = (directory.len() as u32, root.len() as u32);
    [
        fixed.cgroup_rest_length,
        fixed.executable_rest_length,
        fixed.directory_rest_length,
        fixed.root_rest_length,
    ] = rests.map(|rest| rest.len() as u32);
    let arguments = record.split_off(record.len() - 2);
    [
        fixed.as_bytes(),
        &record[size_of::<ExecFixed>()..],
        &rests.concat(),
        &arguments,
    ]
    .concat()
}

#[test]
fn each_path_says_for_itself_what_is_left_out_of_it() {
    let firsts: [&[u8]; 4] = [b"job\0", b"evil\0a\0", b"c\0b\0", b"r\0"];
    let left_out = |rests: [&[u8]; 4]| {
        let (events, _) = decode_all(&[deep_exec_record(0, firsts, rests)]);
        let exec = only_exec(&events);
        assert_eq!((exec.filename.as_str(), &exec.arguments[..]), ("./x", &b"x\0"[..]));
        let PathsLeftOut {
            cgroup,
            executable,
            working_directory,
            root,
            requested: _,
        } = exec.left_out;
        [
            (exec.cgroup.clone(), cgroup),
            (exec.executable.clone(), executable),
            (exec.working_directory.clone(), working_directory),
            (exec.root.clone(), root),
        ]
        .map(|(path, left_out)| format!("{path} {left_out:?}"))
    };
    assert_eq!(
        left_out([b"", b"shm\0dev\0", b"\0", b"dev\0"]),
        [
            "/job Nothing",
            "/dev/shm/a/evil Nothing",
            ".../b/c Beginning",
            "/dev/r Nothing"
        ]
    );
    assert_eq!(
        left_out([b"\0web\0docker\0", b"\0shm\0dev\0", b"", b"\0"]),
        [
            "/docker/web/.../job Middle",
            "/dev/shm/.../a/evil Middle",
            "/b/c Nothing",
            ".../r Beginning"
        ]
    );
    assert_eq!(
        left_out([b"\0", b"\0x\0\0", b"", b"\0dev\0"]),
        [
            ".../job Beginning",
            ".../x/.../a/evil Beginning",
            "/b/c Nothing",
            "/dev/.../r Middle"
        ]
    );
}

#[test]
fn what_lies_outside_of_the_processs_root_has_its_path_from_elsewhere() {
    let root_of = |flags, root: &[u8], rests| {
        let record = deep_exec_record(flags, [b"job\0", b"evil\0", b"", root], rests);
        let (events, _) = decode_all(&[record]);
        let exec = only_exec(&events);
        (exec.root.clone(), exec.is_in_root)
    };
    let none: [&[u8]; 4] = [b""; 4];
    assert_eq!(root_of(0, b"", none), (String::new(), true));
    assert_eq!(root_of(0, b"/\0r\0", none), ("/r".to_owned(), true));
    for flag in [FLAG_EXECUTABLE_OUTSIDE_ROOT, FLAG_EXECUTABLE_DETACHED] {
        assert_eq!(root_of(flag, b"r\0", none), ("/r".to_owned(), false));
    }
    assert_eq!(root_of(0, b"r\0", [b"", b"\0", b"", b""]), ("/r".to_owned(), false));
    assert_eq!(root_of(0, b"/\0", [b"", b"", b"", b"\0"]), ("...".to_owned(), true));
}
