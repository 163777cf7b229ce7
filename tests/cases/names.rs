//! What programs are called: by what was asked for and by the file that runs, live and replayed, whatever leads there.

use std::fs::{self, Permissions, hard_link};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use tests::document::Document;
use tests::image::place_stand_in;
use tests::program::{copy, run, tidewaiter};
use tests::sensor::{Home, Sensor};

use crate::identity::exec_of;

const BOX: &str = "/bin/busybox";
const LOADER: &str = match cfg!(target_arch = "aarch64") {
    true => "/lib/ld-linux-aarch64.so.1",
    false => "/lib64/ld-linux-x86-64.so.2",
};

/// Two names of a program that was started so, with a last argument that names the case.
struct Case {
    marker: &'static str,
    /// For a shell that runs in the folder with the links.
    command: &'static str,
    name: &'static str,
    other: &'static str,
}

const fn case(marker: &'static str, command: &'static str, name: &'static str, other: &'static str) -> Case {
    Case {
        marker,
        command,
        name,
        other,
    }
}

const CASES: [Case; 16] = [
    case("link", "./iptables -F link", "iptables", "xtables-nft-multi"),
    case("chain-of-links", "./nc -l chain-of-links", "nc", "nc.openbsd"),
    case("awk", "awk 'BEGIN {}' awk", "awk", "mawk"),
    case("sh", "sh -c : sh", "sh", "dash"),
    case("script", "./ls script", "ls", "cat"),
    case("script-of-box", "./box-script script-of-box", "box-script", "cat"),
    case(
        "argv0",
        "exec -a curl ./xtables-nft-multi argv0",
        "xtables-nft-multi",
        "",
    ),
    case(
        "descriptor",
        "exec 3<nc.openbsd; exec /proc/self/fd/3 descriptor",
        "nc.openbsd",
        "",
    ),
    case(
        "other-descriptor",
        "exec 3<nc.openbsd; exec /dev/fd/3 other-descriptor",
        "nc.openbsd",
        "",
    ),
    case("box-argument", "busybox true box-argument", "true", "busybox"),
    case("box-link", "./true box-link", "true", "busybox"),
    case("box-argv0", "exec -a true busybox box-argv0", "true", "busybox"),
    case("box-hard-link", "./hard/true box-hard-link", "true", ""),
    case(
        "box-version",
        "./busybox.static true box-version",
        "true",
        "busybox.static",
    ),
    case("loader", "$LOADER /bin/true loader", "true", "LOADER"),
    case(
        "loader-and-name",
        "$LOADER --argv0 curl /bin/true loader-and-name",
        "true",
        "LOADER",
    ),
];

#[test]
fn a_program_has_two_names_whatever_leads_to_it_and_a_rule_for_either_finds_it_in_a_recording() -> Result<()> {
    let home = Home::new()?;
    let folder = home.path().join("names");
    let loader = fs::canonicalize(LOADER)?;
    prepare(&folder)?;
    let sensor = Sensor::start(&mut home.command("events")?)?;
    let mut recording = String::new();
    let (rules, mut expected) = (home.path().join("rules-of-names"), Vec::new());
    fs::create_dir(&rules)?;
    for Case {
        marker,
        command,
        name,
        other,
    } in &CASES
    {
        run(Command::new("bash")
            .args(["-c", command])
            .env("LOADER", LOADER)
            .current_dir(&folder))
        .with_context(|| marker.to_string())?;
        let event = exec_of(&sensor, marker)?;
        let other = match *other {
            "LOADER" => loader.file_name().and_then(|name| name.to_str()).context("a name")?,
            other => other,
        };
        assert_eq!(event.text("process.name"), *name, "{marker}");
        assert_eq!(event.text("tidewaiter.process.other_name"), other, "{marker}");
        recording += &format!("{event}\n");
        for name in [name, other].into_iter().filter(|name| !name.is_empty()) {
            fs::write(rules.join(format!("{name}.toml")), rule(name))?;
            expected.push(format!("{name}: {marker}"));
        }
    }
    let events = home.path().join("names.ndjson");
    fs::write(&events, recording)?;
    let replayed = run(Command::new(tidewaiter()?)
        .arg("replay")
        .arg("--rules")
        .arg(&rules)
        .arg(&events))?;
    let mut found = Vec::new();
    for line in String::from_utf8(replayed.stdout)?.lines() {
        let alert = Document::parse(line)?;
        let args = alert
            .get("process.args")
            .and_then(|args| args.as_array()?.last()?.as_str());
        found.push(format!("{}: {}", alert.rule(), args.context("arguments")?));
    }
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    Ok(())
}

/// Links, scripts and copies as distributions have them.
fn prepare(folder: &Path) -> Result<()> {
    for folder in [folder, &folder.join("hard"), &folder.join("box")] {
        fs::create_dir(folder)?;
    }
    let own = |name: &str| folder.join(name);
    for program in ["xtables-nft-multi", "nc.openbsd"] {
        place_stand_in(&own(program))?;
    }
    for (link, to) in [
        ("iptables", "xtables-nft-multi"),
        ("nc", "alternative"),
        ("alternative", "nc.openbsd"),
        ("true", BOX),
        ("box/cat", BOX),
    ] {
        symlink(to, own(link))?;
    }
    copy(Path::new(BOX), &own("busybox.static"))?;
    hard_link(own("busybox.static"), own("hard/true"))?;
    for (script, interpreter) in [("ls", Path::new("/bin/cat")), ("box-script", &own("box/cat"))] {
        fs::write(own(script), format!("#!{}\n", interpreter.display()))?;
        fs::set_permissions(own(script), Permissions::from_mode(0o755))?;
    }
    // What the scripts read.
    for file in ["script", "script-of-box"] {
        fs::write(own(file), "")?;
    }
    Ok(())
}

/// A rule for a name, which its alert names again.
fn rule(name: &str) -> String {
    format!(
        "[rule]\nrule_id = \"{name}\"\nname = \"{name}\"\ndescription = \"d\"\nrisk_score = 1\nseverity = \"low\"\ntype = \
         \"eql\"\nmax_signals = 100000\nquery = '''process where event.action == \"exec\" and process.name == \"{name}\"'''\n"
    )
}
