//! Checks the rules of a folder, and runs their own examples: `cargo run -p rule-engine --example check -- FOLDER`.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use rule_engine::{Format, ParseOptions, parse_rules, run_examples};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("usage: check FOLDER")?;
    let (report, is_sound) = check(Path::new(&folder))?;
    print!("{report}");
    if is_sound {
        Ok(())
    } else {
        Err("some rules cannot run, or decide their examples otherwise".into())
    }
}

/// What is to say about the rules of a folder, and whether all can run and are right about their own examples.
pub(crate) fn check(folder: &Path) -> Result<(String, bool), Box<dyn Error>> {
    let options = ParseOptions::default();
    let (mut report, mut is_sound) = (String::new(), true);
    let mut paths: Vec<_> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    paths.sort();
    for path in paths {
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Format::Toml,
            Some("ndjson") => Format::Ndjson,
            _ => continue,
        };
        let text = fs::read_to_string(&path)?;
        for parsed in parse_rules(&text, format, &options) {
            let findings = match &parsed {
                Ok(rule) => &rule.warnings,
                Err(failure) => &failure.diagnostics,
            };
            for found in findings {
                report += &found.render(&path.display().to_string(), &text);
            }
            let Ok(rule) = parsed else {
                is_sound = false;
                continue;
            };
            let outcomes = run_examples(&rule);
            for failed in outcomes.iter().filter(|outcome| !outcome.passed()) {
                report += &format!("{}: the example `{}` failed\n", rule.info.name, failed.name);
                is_sound = false;
            }
            report += &format!("{}: ok, {} examples\n", rule.info.name, outcomes.len());
        }
    }
    Ok((report, is_sound))
}
