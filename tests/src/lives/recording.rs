//! What a sensor saw of the lives, kept in the repository: of each start of a program what rules may read.
//!
//! Documents as `tidewaiter events` writes them, compressed, without what no rule on processes can be about, and with
//! small numbers for what is random.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::folder;
use crate::document::Document;
use crate::program::{repository, tidewaiter};

/// Left out wherever they are.
const LEFT_OUT: [&str; 16] = [
    "agent",
    "arguments_sha256",
    "ecs",
    "Ext",
    "group",
    "group_leader",
    "labels",
    "real_group",
    "saved_group",
    "saved_user",
    "session_leader",
    "start",
    "started",
    "supplemental_groups",
    "thread",
    "tty",
];

/// The file in the repository.
pub fn file() -> PathBuf {
    folder().join("recorded.ndjson.gz")
}

/// Keeps what was seen in containers of these lives; `place` is where the engine had its data.
pub fn write(lines: &[String], lives: &HashMap<String, String>, place: &Path) -> Result<usize> {
    let place = place.to_str().context("a path is no text")?;
    let documents = lines
        .iter()
        .map(|line| Ok(serde_json::from_str(&line.replace(place, "/engine"))?));
    let documents: Vec<Map<String, Value>> = documents.collect::<Result<_>>()?;
    let mut known = HashMap::new();
    for document in &documents {
        let container = container_id(document).and_then(|id| Some((id, document.get("container")?)));
        if let Some((id, container)) = container {
            known.insert(id.to_owned(), container.clone());
        }
    }
    let mut numbers = Numbers::default();
    let mut output = GzEncoder::new(BufWriter::new(File::create(file())?), Compression::best());
    let mut count = 0;
    for mut document in documents {
        let Some(id) = container_id(&document).map(str::to_owned) else {
            continue;
        };
        let is_start = document["event"]["action"] == "exec";
        // The engine's own, before the container's program, has the host's in it.
        let is_of_host = document["process"]["entry_leader"]["entry_meta"]["type"] != "container";
        let Some(life) = lives.get(&id).filter(|_| is_start && !is_of_host) else {
            continue;
        };
        if let Some(container) = known.get(&id) {
            document.insert("container".to_owned(), container.clone());
        }
        trim(&mut document, &mut numbers);
        document.insert(
            "event".to_owned(),
            json!({"action": "exec", "category": ["process"], "kind": "event", "type": ["start"]}),
        );
        document.insert("host".to_owned(), json!({"os": {"type": "linux"}}));
        document.insert("labels".to_owned(), json!({ super::LABEL: life }));
        serde_json::to_writer(&mut output, &document)?;
        output.write_all(b"\n")?;
        count += 1;
    }
    output.finish()?.flush()?;
    Ok(count)
}

fn container_id(document: &Map<String, Value>) -> Option<&str> {
    document.get("container")?.get("id")?.as_str()
}

/// Takes out what is not kept.
fn trim(document: &mut Map<String, Value>, numbers: &mut Numbers) {
    document.retain(|key, _| !LEFT_OUT.contains(&key.as_str()));
    for (key, value) in document.iter_mut() {
        match value {
            Value::Object(inner) => trim(inner, numbers),
            Value::String(text) if key == "entity_id" => *text = numbers.of(text),
            _ => {}
        }
    }
}

/// Short names in the order in which they are asked for.
#[derive(Default)]
struct Numbers {
    known: HashMap<String, usize>,
}

impl Numbers {
    fn of(&mut self, name: &str) -> String {
        let next = self.known.len();
        let number = self.known.entry(name.to_owned()).or_insert(next);
        number.to_string()
    }
}

/// What was kept.
pub struct Recording {
    /// A document a line.
    pub text: String,
    /// Of each container by its id.
    pub lives: HashMap<String, String>,
}

/// Reads what is in the repository.
pub fn read() -> Result<Recording> {
    let mut text = String::new();
    GzDecoder::new(File::open(file())?).read_to_string(&mut text)?;
    let mut lives = HashMap::new();
    for line in text.lines() {
        let document = Document::parse(line)?;
        lives.insert(document.text("container.id"), document.text("labels.life"));
    }
    Ok(Recording { text, lives })
}

impl Recording {
    /// The events of these lives so often, each time so much later.
    pub fn repeated(&self, lives: &[&str], times: u32, every: SignedDuration) -> Result<Recording> {
        let mut kept = Vec::new();
        for line in self.text.lines() {
            let document = Document::parse(line)?;
            if lives.contains(&document.text("labels.life").as_str()) {
                let time = document.text("@timestamp");
                let rest = line
                    .strip_prefix(&format!("{{\"@timestamp\":\"{time}\""))
                    .context("no time first")?;
                kept.push((time.parse::<Timestamp>()?, rest));
            }
        }
        let mut text = String::new();
        for number in 0..times {
            for (time, rest) in &kept {
                let time = *time + every * number.try_into()?;
                writeln!(text, "{{\"@timestamp\":\"{time}\"{rest}")?;
            }
        }
        let lives = self.lives.clone();
        Ok(Recording { text, lives })
    }

    /// The alerts of the rules as they lie in the repository, without what amends them, and with what was held back left
    /// out.
    pub fn replay(&self) -> Result<Vec<Document>> {
        let mut replay = Command::new(tidewaiter()?);
        replay.args(["replay", "-", "--rules"]).arg(repository().join("rules"));
        let mut replay = replay.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = replay.stdin.take().context("the input is not connected")?;
        let output = thread::scope(|scope| {
            scope.spawn(move || input.write_all(self.text.as_bytes()));
            replay.wait_with_output()
        })?;
        ensure!(
            output.status.success(),
            "`tidewaiter replay` ended with {}",
            output.status
        );
        let text = String::from_utf8(output.stdout)?;
        let alerts = text.lines().map(Document::parse);
        let is_one = |alert: &Document| !alert.is_amendment() && alert.get("tidewaiter.held_back").is_none();
        alerts.filter(|alert| alert.as_ref().map_or(true, is_one)).collect()
    }
}
