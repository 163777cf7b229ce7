//! The rooms of each crate and their order: a room imports only what stands above it. One that imports from
//! below, and files that import each other in a circle, are found here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::modules::{Import, ModulePath, Modules};

/// A crate's root file and its top modules, from what knows nothing of the others down to what knows them all. The root
/// itself is the face, and below them.
pub(crate) struct Crate {
    pub root: &'static str,
    pub rooms: &'static [&'static str],
}

pub(crate) const CRATES: &[Crate] = &[
    Crate {
        root: "sensor/src/lib.rs",
        rooms: &[
            "allocated",
            "text",
            "clock",
            "scheduling",
            "sandbox",
            "telemetry",
            "notice",
            "config",
            "kernel",
            "decode",
            "identity",
            "process",
            "enrich",
            "event",
            "record",
            "detection",
            "alert",
            "history",
            "rule_files",
            "outputs",
            "pipeline",
            "control",
            "agent",
            "cli",
            "commands",
            "fuzzing",
        ],
    },
    Crate {
        root: "sensor-abi/src/lib.rs",
        rooms: &["kinds", "losses", "record", "hooks", "layout", "ring"],
    },
    Crate {
        root: "sensor-ebpf/src/main.rs",
        rooms: &[
            "read", "layout", "scratch", "path", "file", "task", "tasks", "ring", "share", "emit", "hooks", "log",
        ],
    },
    Crate {
        root: "container-engines/src/lib.rs",
        rooms: &["model", "cache", "meter", "engine", "client", "watch", "directory"],
    },
    Crate {
        root: "rule-engine/src/lib.rs",
        rooms: &[
            "limits",
            "diagnostic",
            "value",
            "schema",
            "record",
            "condition",
            "analysis",
            "language",
            "rule",
            "compile",
            "run",
            "examples",
        ],
    },
    Crate {
        root: "xtask/src/main.rs",
        rooms: &[
            "command",
            "counts",
            "architecture",
            "ebpf_toolchain",
            "setup",
            "apt",
            "dist",
            "kernels",
            "systemd",
            "tidy",
            "suite",
            "cluster",
            "check",
            "instructions",
            "tools",
            "test",
        ],
    },
];

/// One line a finding: `path:line: what, and the way out`.
pub(crate) fn findings(repository: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for one in CRATES {
        let modules = Modules::read(&repository.join(one.root))?;
        findings.extend(one.findings(&modules));
    }
    let folder = format!("{}/", repository.display());
    Ok(findings.iter().map(|finding| finding.replace(&folder, "")).collect())
}

impl Crate {
    fn findings(&self, modules: &Modules) -> Vec<String> {
        let unknown = modules.rooms().filter(|(room, _)| !self.rooms.contains(room));
        let unknown = unknown.map(|(room, file)| {
            format!(
                "{}:1: `{room}` is no room of this crate: give it a place in xtask/src/tidy/rooms.rs, or put it into one",
                file.display()
            )
        });
        let up = modules
            .imports
            .iter()
            .filter_map(|import| self.imports_from_below(import));
        unknown.chain(up).chain(circles(modules)).collect()
    }

    /// The finding, if the import is of a room below its own.
    fn imports_from_below(&self, import: &Import) -> Option<String> {
        let place = |path: &ModulePath| match path.first() {
            Some(room) => self.rooms.iter().position(|other| other == room),
            // The root file.
            None => Some(self.rooms.len()),
        };
        if place(&import.to)? <= place(&import.from)? {
            return None;
        }
        let name = |path: &ModulePath| path.first().map_or("the crate's root", String::as_str).to_owned();
        Some(format!(
            "{}:{}: imports `{}`: `{}` is below `{}`: move what both need up, or pass it in",
            import.file.display(),
            import.line,
            written(&import.to),
            name(&import.to),
            name(&import.from),
        ))
    }
}

fn written(path: &ModulePath) -> String {
    ["crate"]
        .into_iter()
        .chain(path.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join("::")
}

/// A finding for each set of files that import each other in a circle, with one import of each.
fn circles(modules: &Modules) -> Vec<String> {
    let imports: Vec<&Import> = modules.imports.iter().filter(|import| import.is_use).collect();
    let mut imported: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = BTreeMap::new();
    for import in &imports {
        imported.entry(&import.file).or_default().insert(&import.to_file);
    }
    let reached = |from: &PathBuf| {
        let mut reached: BTreeSet<&PathBuf> = BTreeSet::new();
        let mut unseen: Vec<&PathBuf> = imported.get(from).into_iter().flatten().copied().collect();
        while let Some(file) = unseen.pop() {
            if reached.insert(file) {
                unseen.extend(imported.get(file).into_iter().flatten());
            }
        }
        reached
    };
    let reached: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = imported.keys().map(|file| (*file, reached(file))).collect();
    let reaches = |from: &PathBuf, to: &PathBuf| reached.get(from).is_some_and(|files| files.contains(to));
    let mut findings = Vec::new();
    let mut reported: BTreeSet<&PathBuf> = BTreeSet::new();
    for file in imported.keys().filter(|file| reaches(file, file)) {
        if !reported.insert(*file) {
            continue;
        }
        reported.extend(
            imported
                .keys()
                .filter(|other| reaches(file, other) && reaches(other, file)),
        );
        let inside = |import: &&&Import| {
            reaches(file, &import.file) && reaches(&import.to_file, file) && reaches(&import.file, file)
        };
        let steps = imports.iter().filter(inside).map(|import| {
            format!(
                "\n    {}:{} imports `{}`",
                import.file.display(),
                import.line,
                written(&import.to)
            )
        });
        let steps: BTreeSet<String> = steps.collect();
        let files = imported
            .keys()
            .filter(|other| reaches(file, other) && reaches(other, file))
            .count();
        findings.push(format!(
            "{}:1: {files} files import each other in a circle: move what they share into a file that imports none of \
             them{}",
            file.display(),
            steps.into_iter().collect::<String>()
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Crate, Modules};

    const ABOVE_BELOW: Crate = Crate {
        root: "lib.rs",
        rooms: &["above", "below"],
    };

    /// The findings in a crate with these files, without the folder that they are in.
    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let modules = Modules::read(&folder.path().join(ABOVE_BELOW.root)).unwrap();
        let found = ABOVE_BELOW.findings(&modules);
        let prefix = format!("{}/", folder.path().display());
        found.iter().map(|finding| finding.replace(&prefix, "")).collect()
    }

    const ROOT: (&str, &str) = ("lib.rs", "mod above;\nmod below;\npub use below::Below;\n");

    #[test]
    fn an_import_from_below_is_found_however_it_is_written() {
        for import in [
            "use crate::below::Below;",
            "use crate::{below::{self, Below}};",
            "use super::below::*;",
            "fn f() { crate::below::f() }",
            "fn f() -> super::below::Below { loop {} }",
            "fn f() { println!(\"{}\", crate::below::f()) }",
            "mod inner { use super::super::below::Below; }",
            // Through the face.
            "use crate::Below;",
        ] {
            let above = format!("// The first line.\n{import}\n");
            let found = findings(&[
                ROOT,
                ("above.rs", &above),
                ("below.rs", "pub struct Below;\npub fn f() {}\n"),
            ]);
            assert!(!found.is_empty(), "{import}");
            let expected =
                "above.rs:2: imports `crate::below`: `below` is below `above`: move what both need up, or pass it in";
            assert!(found.iter().all(|finding| finding == expected), "{import}: {found:?}");
        }
    }

    #[test]
    fn what_stands_above_tests_and_other_crates_may_be_imported() {
        let above = "use std::below::Below;\n#[cfg(test)]\nmod tests { use crate::below::Below; }\n";
        let below = "use crate::above;\nuse super::above as same;\npub struct Below;\n";
        assert_eq!(findings(&[ROOT, ("above.rs", above), ("below.rs", below)]), [""; 0]);
    }

    #[test]
    fn a_circle_of_files_in_one_room_is_found_and_a_door_is_none() {
        let above = ("above.rs", "");
        let door = "mod one;\nmod two;\npub use one::One;\n";
        let one = ("below/one.rs", "use super::two::Two;\npub struct One;\n");
        let two = ("below/two.rs", "pub struct Two;\n");
        assert_eq!(findings(&[ROOT, above, ("below.rs", door), one, two]), [""; 0]);
        // Through the door.
        let two = ("below/two.rs", "use super::One;\npub struct Two;\n");
        let found = findings(&[ROOT, above, ("below.rs", door), one, two]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("below/one.rs:1: 2 files import each other in a circle"),
            "{found:?}"
        );
    }

    #[test]
    fn a_module_without_a_place_is_found() {
        let root = ("lib.rs", "mod above;\nmod below;\nmod cellar;\n");
        let found = findings(&[root, ("above.rs", ""), ("below.rs", ""), ("cellar.rs", "")]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("cellar.rs:1: `cellar` is no room"), "{found:?}");
    }
}
