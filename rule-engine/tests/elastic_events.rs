//! Elastic's own process rules against events of ours: each fires on what it is about and not on what is nearly that.
//!
//! The rules are named by their ids and read from outside the project; the events are written for these tests.

#[path = "shared/corpus.rs"]
mod corpus;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use corpus::{corpus, options};
use rule_engine::{
    CheckedRule, DocumentCounts, Engine, EngineOptions, MemoryHistory, Record, Rules, Schema, parse_rule,
};
use serde_json::{Map, Value as Json, json};

/// A rule's id, events in a row whose last one it finds, and events in a row of whose last one it says nothing.
type Case = (&'static str, Json, Json);

/// Those about containers.
fn container_cases() -> Vec<Case> {
    let on_host = |args: &str| json!({"args": args, "container.id": []});
    vec![
        (
            "eb958cb3-dead-42b6-94ff-b9de6721fab2",
            json!("curl --socks5-hostname 10.0.0.9:1080 http://intranet/"),
            on_host("curl --socks5-hostname 10.0.0.9:1080 http://intranet/"),
        ),
        (
            "9d94d61b-9476-41ff-a8d3-3d24b4bb8158",
            json!("relay 10.1.2.3:4444:10.9.8.7:22"),
            json!("relay 10.1.2.3:4444"),
        ),
        (
            "d0b0f3ed-0b37-44bf-adee-e8cb7de92767",
            json!("grep -ri AWS_SECRET_ACCESS_KEY /srv"),
            json!("vim /root/.aws/credentials"),
        ),
        (
            "9661ed8b-001c-40dc-a777-0983b7b0c91a",
            json!("busybox find / -name id_rsa"),
            json!({"args": ["sh", "-c", "man id_rsa", "man", "find"]}),
        ),
        (
            "0fb83aa0-3d17-41e9-b09c-56397bf7a7d9",
            json!(["base64 -d", {"args": "sh", "at": 3}]),
            json!(["base64 -d", {"args": "sh", "at": 4}]),
        ),
        (
            "74ee9a2d-5ed3-40c8-9e6c-523d2e6a17ef",
            json!("dig SRV any.any.svc.cluster.local"),
            json!("dig www.example.org"),
        ),
        (
            "42de0740-8ed8-4b8b-995c-635b56a8bbf4",
            json!("cat /host/var/lib/kubelet/pki/kubelet.key"),
            json!("cat /var/lib/kubelet/config.yaml"),
        ),
        (
            "33ff31e9-3872-4944-8394-81dae76c12d9",
            json!("jq .items"),
            json!({"args": "jq .items", "event.action": "fork"}),
        ),
        (
            "f7c64a1b-9d00-4b92-9042-d3bb4196899a",
            json!("head -n1 /var/run/secrets/kubernetes.io/serviceaccount/namespace"),
            json!("head -n1 /var/run/secrets/kubernetes.io/serviceaccount/token"),
        ),
        (
            "b84264aa-37a3-49f8-8bbc-60acbe9d4f86",
            json!("which kubectl"),
            json!("which emacs"),
        ),
        (
            "0398c0a2-1237-478e-84c4-84510f1925e6",
            json!("ctr run --privileged docker.io/library/x x"),
            json!({"args": "ctr run --privileged x x", "process.parent.executable": "/usr/bin/containerd"}),
        ),
        (
            "420e5bb4-93bf-40a3-8f4a-4cc1af90eca1",
            json!({"args": "bash", "process.entry_leader.same_as_process": true}),
            json!({"args": "bash", "process.entry_leader.same_as_process": false}),
        ),
        (
            "2572f7e0-7647-4c68-a42b-d3b1973deaae",
            json!("kubelet-tool --server node-1 exec web"),
            json!("kubelet-tool --server node-1 version"),
        ),
        (
            "a750bbcc-863f-41ef-9924-fd8224e23694",
            json!(["wget -qO- http://e/x", {"args": "bash", "event.action": "end", "event.type": ["end"], "at": 1}]),
            json!(["wget -qO- http://e/x", {"args": "bash", "process.parent.entity_id": "another", "at": 1}]),
        ),
        (
            "ec604672-bed9-43e1-8871-cf591c052550",
            json!("chmod 0777 /tmp/x"),
            json!("chmod 0640 /tmp/x"),
        ),
        (
            "527d23e6-8b67-4a8e-a6bd-5169b90ab2a8",
            json!("pacman -Sy python3"),
            json!("pacman -Q python3"),
        ),
        (
            "d9bfa475-270d-4b07-93cb-b1f49abe13da",
            json!({"args": ["sh", "-c", "echo '* * * * * x' > /etc/cron.d/x"]}),
            json!({"args": ["sh", "-c", "cat /etc/cron.d/x"]}),
        ),
        (
            "47661529-15ed-4848-93da-9fbded7a3a0e",
            json!("sh -c chroot /mnt"),
            json!({"args": ["sh", "-c", "which", "chroot", "man", "chroot"]}),
        ),
        (
            "41f7da9e-4e9f-4a81-9b58-40d725d83bc0",
            json!({"args": "mount /dev/sda1 /mnt", "container.security_context.privileged": true}),
            json!({"args": "mount /dev/sda1 /mnt", "container.security_context.privileged": false}),
        ),
        (
            "9e5dbd3b-5e19-4648-a1cf-c2649c91b015",
            json!("unshare -r -m sh"),
            json!({"args": "unshare -r sh", "process.parent.executable": "/USR/LIB/systemd/systemd-udevd"}),
        ),
    ]
}

/// Those about any host, first half: events one by one.
fn host_cases() -> Vec<Case> {
    vec![
        (
            "734239fe-eda8-48c0-bca8-9e3dafd81a88",
            json!({"args": "curl http://e/", "process.env_vars": ["https_proxy=SOCKS5H://10.0.0.9:1080"]}),
            json!({"args": "curl -x p:1 http://localhost:8080/rudder/api/status"}),
        ),
        (
            "5a138e2e-aec3-4240-9843-56825d0bc569",
            json!("sysctl -w net.ipv4.ip_forward=1"),
            json!({"args": "sysctl -w net.ipv4.ip_forward=1", "process.parent.executable": []}),
        ),
        (
            "29f0cf93-d17c-4b12-b4f3-a433800539fa",
            json!("ssh -X user@host"),
            json!("ssh -X"),
        ),
        (
            "6ee947e9-de7e-4281-a55d-09289bdf947e",
            json!("ssh -fNR 8080:web:80 user@host"),
            json!("ssh -oR 8080:web:80 user@host"),
        ),
        (
            "8c8df61f-ed2a-4832-87b8-ee30812606e0",
            json!("relay 10.1.2.3:4444:10.9.8.7:22 quiet"),
            json!("relay 10.1.2.3:4444:10.9.8:22"),
        ),
        (
            "9f1c4ca3-44b5-481d-ba42-32dc215a2769",
            json!("ew -S RSSOCKS -D 10.0.0.9"),
            json!("ew -s ssocksd -d 10.0.0.9"),
        ),
        (
            "e7cb3cfd-aaa3-4d7b-af18-23b89955062c",
            json!("unshadow /etc/passwd /etc/shadow"),
            json!("unshadow /etc/passwd"),
        ),
        (
            "66c058f3-99f4-4d18-952b-43348f2577a0",
            json!("gdb -p 4711"),
            json!("gdb -p 1"),
        ),
        (
            "5f0fff18-f340-444b-9a98-c49ade766ff4",
            json!("tar czf x /home/anna/.aws/credentials"),
            json!("emacs /home/anna/.aws/credentials"),
        ),
        (
            "6505e02e-28dd-41cd-b18f-64e649caa4e2",
            json!({"args": "cat /proc/1/mem", "process.command_line": "/proc/1/mem"}),
            json!("cat /proc/1/mem"),
        ),
        (
            "23cd4ba2-344e-41bf-bcda-655bea43fdbc",
            json!("find / -name ID_RSA"),
            json!({"args": "find / -name id_rsa", "process.entry_leader.entry_meta.type": "ssh"}),
        ),
        (
            "999565a2-fc52-4d72-91e4-ba6712c0377e",
            json!("setfacl -m u:anna:rwx /etc/shadow"),
            json!({"args": "setfacl -m u:anna:rwx /srv", "process.parent.command_line": "python3 /tmp/Ansible_x"}),
        ),
        (
            "d26331be-affe-46b2-bf4e-203d0e2d364c",
            json!("apparmor_parser -o* x"),
            json!("apparmor_parser -oprofile x"),
        ),
        (
            "83e9c2b3-24ef-4c1d-a8cd-5ebafb5dfa2f",
            json!("iptables -F"),
            json!("iptables -F INPUT"),
        ),
        (
            "debff20a-46bc-4a4d-bae5-5cdd14222795",
            json!("base32 -d x"),
            json!("base32 --help"),
        ),
        (
            "5134be90-42c1-4ac7-859c-4d82caaddbec",
            json!({"args": "sh", "process.parent.name": "busybox"}),
            json!({"args": "sh", "process.parent.name": "busybox", "process.parent.args": ["CROND"]}),
        ),
        (
            "2724808c-ba5d-48b2-86d2-0002103df753",
            json!("dmesg -C"),
            json!("dmesg -T"),
        ),
        (
            "fac52c69-2646-4e79-89c0-fd7653461010",
            json!("ln -s /ETC/apparmor.d/usr.bin.x /etc/apparmor.d/disable/"),
            json!({"args": "systemctl stop apparmor", "process.parent.executable": "/opt/puppetlabs/puppet/bin/ruby"}),
        ),
        (
            "30bfddd7-2954-4c9d-bbc6-19a99ca47e23",
            json!("touch -r /etc/vmware/a /VMFS/b"),
            json!("touch /etc/vmware/a"),
        ),
        (
            "0c1e8fda-4f09-451e-bc77-a192b6cbfc32",
            json!({"args": ["perl3", "-e", "print pack(\"H*\", \"41\")"], "process.name": "perl"}),
            json!("xxd -r liblzma.hex"),
        ),
        (
            "b9666521-4742-49ce-9ddc-b8e84c35acae",
            json!({"args": "touch .HIDDEN", "process.working_directory": "/dev/shm"}),
            json!({"args": "touch ./.hidden", "process.working_directory": "/dev/shm"}),
        ),
        (
            "cd66a5af-e34b-4bb0-8931-57d0a043f2ef",
            json!("modprobe -r nf_tables"),
            json!({"args": "rmmod nvidia", "process.working_directory": "/tmp/SELFGZ1/nvidia-linux-x"}),
        ),
        (
            "202829f6-0271-4e88-b882-11a655c590d4",
            json!({"args": "[kworker/0:1]", "process.name": "KWorker/0:1"}),
            json!({"args": [], "process.name": "kworker/0:1", "process.executable": []}),
        ),
        (
            "ebf493d1-20be-41a0-a010-c1b6a6f90e28",
            json!("openssl req -engine ./evil.so"),
            json!({"args": "openssl req -engine ./evil.so", "process.parent.name": "make"}),
        ),
        (
            "a2e5e290-f534-4b71-bc3f-2dd1932b4cd6",
            json!("systemd-run --scope sh"),
            json!("systemd-run --scope -p cpuquota=10% dpkg -l"),
        ),
        (
            "68e90a9b-0eab-425e-be3b-902b0cd1fe9c",
            json!({"args": "mount -o loop /tmp/x.img", "process.parent.executable": "/opt/x"}),
            json!({"args": "mount -o loop /tmp/x.img", "process.parent.executable": "/usr/bin/x"}),
        ),
        (
            "a68da7d6-7eab-45bd-97c5-93b469c0706e",
            json!({"args": "bash", "process.env_vars": ["HOME=/", "histsize=0"]}),
            json!({"args": "bash", "process.env_vars": ["HISTSIZE=00"]}),
        ),
        (
            "f7a131f8-44b7-4957-99a4-e6c54d93d816",
            json!("tool run --node https://10.0.0.1:10250/"),
            json!("tool run --node https://10.0.0.1:443/"),
        ),
        (
            "2f95540c-923e-4f57-9dae-de30169c68b9",
            json!("grep heap /proc/42/maps"),
            json!({"args": "grep heap /proc/42/maps", "process.working_directory": "/opt/Tanium/TaniumClient/x"}),
        ),
        (
            "7efca3ad-a348-43b2-b544-c93a78a0ef92",
            json!("less /etc/pam.d/sshd"),
            json!("cat /etc/login.defs"),
        ),
    ]
}

/// Those that remember: sequences, new terms, thresholds.
fn remembering_cases() -> Vec<Case> {
    let many = |name: &str, args: &dyn Fn(usize) -> Vec<String>, count: usize| -> Json {
        let event =
            |number| json!({"args": args(number), "process.name": name, "process.executable": "/bin/x", "at": 0});
        (0..count).map(event).collect()
    };
    let pings = |number: usize| vec![format!("10.0.0.{number}"), format!("-c{number}")];
    let ids = |number: usize| vec!["id".to_owned(), format!("user{number}")];
    let decode =
        |at: u64, directory: &str| json!({"args": "base64 -d", "process.working_directory": directory, "at": at});
    vec![
        (
            "884e87cc-c67b-4c90-a4ed-e1e24a940c82",
            json!(["xclip", {"args": "xsel", "process.parent.executable": "/usr/bin/other"}]),
            json!(["xclip", "xsel"]),
        ),
        (
            "93dd73f9-3e59-45be-b023-c681273baf81",
            json!(["scrot", {"args": "scrot", "host.id": "second"}]),
            json!("scrot --help"),
        ),
        (
            "6b84d470-9036-4cc0-a27c-6d90bbfe81ab",
            json!(["tar c /etc/shadow", "tar c /etc/shadow /etc/passwd"]),
            json!(["tar c /etc/shadow", {"args": "tar c /etc/shadow", "at": 100}]),
        ),
        (
            "9f9a2a82-93a8-4b1a-8778-1780895626d4",
            json!({"args": "chmod +x a", "process.working_directory": "/tmp"}),
            json!({"args": "chmod 640 a", "process.working_directory": "/tmp"}),
        ),
        (
            "5bdad1d5-5001-4a13-ae99-fa8619500f1a",
            json!(["openssl enc -d", {"args": "PYTHON3 -", "at": 3}]),
            json!(["openssl enc -d", {"args": "python3 -", "at": 4}]),
        ),
        (
            "03d856c2-7f74-4540-a530-e20af5e39789",
            json!([decode(0, "/home/anna"), decode(1, "/")]),
            json!([decode(0, "/"), decode(1, "/home/anna")]),
        ),
        (
            "03c23d45-d3cb-4ad4-ab5d-b361ffe8724a",
            many("ping", &pings, 50),
            many("ping", &pings, 49),
        ),
        (
            "afa135c0-a365-43ab-aa35-fd86df314a47",
            many("id", &ids, 20),
            many("id", &ids, 19),
        ),
    ]
}

/// The rules of both folders by their ids.
fn rules(corpus: &Path) -> BTreeMap<String, CheckedRule> {
    let mut rules = BTreeMap::new();
    for folder in ["cloud_defend", "linux"] {
        for entry in fs::read_dir(corpus.join(folder)).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let text = fs::read_to_string(&path).expect("a readable rule file");
            let rule = parse_rule(&text, &options()).unwrap_or_else(|report| panic!("{}: {report:?}", path.display()));
            rules.insert(rule.info.rule_id.clone(), rule);
        }
    }
    rules
}

/// An exec by a shell in a container. Beside ECS fields a case says `args` and `at`, seconds since the first event; a
/// case that is a text is the arguments alone.
fn event(case: &Json) -> Map<String, Json> {
    let fields = match case {
        Json::Object(fields) => fields.clone(),
        text => Map::from_iter([("args".to_owned(), text.clone())]),
    };
    let args: Vec<&str> = match &fields["args"] {
        Json::String(text) => text.split(' ').collect(),
        list => list.as_array().into_iter().flatten().filter_map(Json::as_str).collect(),
    };
    let name = args
        .first()
        .map_or("", |first| first.rsplit('/').next().unwrap_or(first));
    let at = fields.get("at").and_then(Json::as_u64).unwrap_or(0);
    let event = json!({
        "@timestamp": format!("2026-01-02T03:{:02}:{:02}Z", at / 60, at % 60),
        "event.kind": "event", "event.category": ["process"], "event.type": ["start"], "event.action": "exec",
        "host.id": "first", "host.os.type": "linux", "user.id": "0", "container.id": "5d2f1c7a9b3e",
        "process.args": args, "process.args_count": args.len(), "process.command_line": args.join(" "),
        "process.name": name, "process.executable": format!("/usr/bin/{name}"), "process.working_directory": "/",
        "process.entity_id": "child", "process.parent.entity_id": "shell", "process.parent.name": "bash",
        "process.parent.executable": "/opt/bash", "process.parent.args": ["bash"], "process.parent.command_line": "bash",
        "process.entry_leader.entry_meta.type": "container",
    });
    let Json::Object(mut event) = event else {
        return Map::new();
    };
    event.extend(fields.into_iter().filter(|(key, _)| key.contains('.')));
    event
}

/// Whether the rule finds the last of the events.
fn finds(rule: &CheckedRule, events: &Json) -> bool {
    let events: Vec<&Json> = events.as_array().map_or(vec![events], |list| list.iter().collect());
    let mut engine = Engine::new(
        Rules::compile(&Schema::ecs(), vec![rule.clone()]),
        EngineOptions::default(),
    );
    let mut history = MemoryHistory::default();
    let mut record = Record::new();
    let mut found = false;
    for case in events {
        let counts = record.fill_from_document(&event(case));
        assert_eq!(counts, DocumentCounts::default(), "{case}");
        found = false;
        engine.evaluate(&record, &mut history, &mut |_| found = true);
    }
    found
}

fn check(cases: &[Case], rules: &BTreeMap<String, CheckedRule>) {
    let mut wrong = Vec::new();
    for (id, found, not_found) in cases {
        let rule = rules.get(*id).unwrap_or_else(|| panic!("there is no rule {id}"));
        if !finds(rule, found) {
            wrong.push(format!("{id} ({}) does not find {found}", rule.info.name));
        }
        if finds(rule, not_found) {
            wrong.push(format!("{id} ({}) finds {not_found}", rule.info.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn elastic_rules_find_what_they_are_about_and_not_what_is_nearly_that() {
    let Some(corpus) = corpus("elastic_rules_find_what_they_are_about_and_not_what_is_nearly_that") else {
        return;
    };
    let rules = rules(&corpus);
    let cases = [container_cases(), host_cases(), remembering_cases()].concat();
    assert!(cases.len() >= 40, "only {} rules have events", cases.len());
    check(&cases, &rules);
}
