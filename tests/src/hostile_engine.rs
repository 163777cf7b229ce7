//! Engines that are there to do harm: they never stop talking, or hardly begin.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The container that they list.
const CONTAINER: &str = "badc0ffee0ddf00dbadc0ffee0ddf00dbadc0ffee0ddf00dbadc0ffee0ddf00d";
/// Between two bytes of who hardly begins.
const DRIP_INTERVAL: Duration = Duration::from_millis(50);

/// What a hostile engine does. Whatever else it is asked, it answers as one with one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// The answer to this path begins like this, and goes on so for ever.
    Endless(&'static str, &'static str),
    /// One event after the other, each about another container.
    Events,
    /// A byte of the answer to this path now and then.
    Drip(&'static str),
    /// Header after header.
    Headers,
    /// No end of HTTP/2's pings, each of which asks for an answer.
    Pings,
    /// A gRPC message of four gigabytes, whatever is asked.
    Message,
    /// No end of gRPC messages, whatever is asked.
    Messages,
    /// A byte of HTTP/2 now and then.
    DripFrames,
}

/// Each way of doing harm, with the language in which it is done.
pub const ALL: [(&str, Manner); 14] = [
    ("docker", Manner::Endless("/version", "{\"Version\":[\"x\",")),
    (
        "podman",
        Manner::Endless("/containers/json", "[{\"Id\":\"x\",\"Labels\":{\"a\":"),
    ),
    ("docker", Manner::Endless("/containers/json", "[[[[[[[[")),
    ("docker", Manner::Endless("/json", "{\"Labels\":{\"a\":\"b\",")),
    (
        "docker",
        Manner::Endless("/events", "{\"Actor\":{\"Attributes\":{\"a\":\""),
    ),
    ("docker", Manner::Events),
    ("podman", Manner::Drip("/version")),
    ("docker", Manner::Drip("/events")),
    ("docker", Manner::Headers),
    ("containerd", Manner::Pings),
    ("cri-o", Manner::Message),
    ("containerd", Manner::Messages),
    ("cri-o", Manner::Messages),
    ("cri-o", Manner::DripFrames),
];

/// One that runs until the test ends.
pub struct HostileEngine {
    pub kind: &'static str,
    pub manner: Manner,
    pub socket: PathBuf,
    said: Arc<AtomicU64>,
}

impl HostileEngine {
    /// One of each manner, with their sockets in this folder.
    pub fn start_all(folder: &Path) -> Result<Vec<Self>> {
        let start = |(number, (kind, manner))| {
            let engine = Self {
                kind,
                manner,
                socket: folder.join(format!("hostile{number}.sock")),
                said: Arc::default(),
            };
            engine.serve()?;
            Ok(engine)
        };
        ALL.into_iter().enumerate().map(start).collect()
    }

    /// What the sensor's configuration says of them.
    pub fn configuration(all: &[Self]) -> String {
        let each = all
            .iter()
            .map(|engine| format!("{{engine = {:?}, socket = {:?}}}", engine.kind, engine.socket));
        format!("further_engines = [{}]", each.collect::<Vec<_>>().join(", "))
    }

    /// How many bytes it got rid of.
    pub fn said(&self) -> u64 {
        self.said.load(Ordering::Relaxed)
    }

    fn serve(&self) -> Result<()> {
        let listener = UnixListener::bind(&self.socket)?;
        let (manner, said) = (self.manner, Arc::clone(&self.said));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let connection = Connection {
                    stream,
                    said: Arc::clone(&said),
                };
                // A broken connection is the sensor's answer.
                thread::spawn(move || connection.serve(manner).unwrap_or_default());
            }
        });
        Ok(())
    }
}

struct Connection {
    stream: UnixStream,
    said: Arc<AtomicU64>,
}

impl Connection {
    fn say(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes)?;
        self.said.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn say_for_ever(&mut self, bytes: &[u8]) -> Result<()> {
        let many = bytes.repeat(1 + 16 * 1024 / bytes.len());
        loop {
            self.say(&many)?;
        }
    }

    fn drip(&mut self, bytes: &[u8]) -> Result<()> {
        for byte in bytes.iter().cycle() {
            self.say(&[*byte])?;
            thread::sleep(DRIP_INTERVAL);
        }
        Ok(())
    }

    fn serve(mut self, manner: Manner) -> Result<()> {
        match manner {
            Manner::Pings | Manner::Message | Manner::Messages | Manner::DripFrames => self.serve_frames(manner),
            _ => self.serve_texts(manner),
        }
    }

    fn serve_frames(&mut self, manner: Manner) -> Result<()> {
        let settings = frame(4, 0, 0, b"");
        let mut hears = self.stream.try_clone()?;
        thread::spawn(move || std::io::copy(&mut hears, &mut std::io::sink()));
        match manner {
            Manner::DripFrames => return self.drip(&settings),
            Manner::Pings => {
                self.say(&settings)?;
                return self.say_for_ever(&frame(6, 0, 0, b"01234567"));
            }
            _ => {}
        }
        self.say(&settings)?;
        // The window that the other side gives is not minded; `:status: 200` and `content-type: application/grpc`.
        self.say(&frame(1, 4, 1, b"\x88\x5f\x10application/grpc"))?;
        if manner == Manner::Message {
            self.say(&frame(0, 0, 1, b"\0\xff\xff\xff\xff"))?;
            return self.say_for_ever(&frame(0, 0, 1, &[0; 8192]));
        }
        // Each a container whose id is one letter.
        self.say_for_ever(&frame(0, 0, 1, b"\0\0\0\0\x05\x0a\x03\x0a\x01x"))
    }

    fn serve_texts(&mut self, manner: Manner) -> Result<()> {
        let mut lines = BufReader::new(self.stream.try_clone()?).lines();
        let request = lines.next().context("a request")??;
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        while !lines.next().context("headers")??.is_empty() {}
        let is_about = |part: &str| match part {
            "/json" => path.ends_with(part) && path.contains(CONTAINER),
            part => path.starts_with(part),
        };
        let begin = b"HTTP/1.1 200 OK\r\n\r\n";
        match manner {
            Manner::Endless(part, text) if is_about(part) => {
                self.say(begin)?;
                return self.say_for_ever(text.as_bytes());
            }
            Manner::Events if is_about("/events") => {
                self.say(begin)?;
                for number in 0_u64.. {
                    let actor = format!("{{\"ID\":\"{number:064}\",\"Attributes\":{{\"name\":\"x\"}}}}");
                    self.say(format!("{{\"Action\":\"create\",\"Actor\":{actor}}}\n").as_bytes())?;
                }
            }
            Manner::Drip(part) if is_about(part) => {
                self.say(begin)?;
                return self.drip(b"{\"Version\": \"x\"");
            }
            Manner::Headers => {
                self.say(b"HTTP/1.1 200 OK\r\n")?;
                return self.say_for_ever(b"x-header: x\r\n");
            }
            _ => {}
        }
        let body = match path.as_str() {
            "/version" => "{\"Version\":\"1\",\"ApiVersion\":\"1\"}".to_owned(),
            "/_ping" => "OK".to_owned(),
            path if path.starts_with("/containers/json") => format!("[{{\"Id\":\"{CONTAINER}\"}}]"),
            path if path.starts_with("/containers/") => format!("{{\"Id\":\"{CONTAINER}\",\"Name\":\"/hostile\"}}"),
            _ => {
                // No events.
                self.say(begin)?;
                self.stream.read_to_end(&mut Vec::new())?;
                return Ok(());
            }
        };
        self.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
    }
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, stream];
    [&head, payload].concat()
}
