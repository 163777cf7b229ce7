//! Programs that start containers, and what their arguments say of the container.
//!
//! For containers that no cgroup names. A program is known by the base name of its resolved executable. Only processes of
//! the host are asked about, so no container chooses the answer.

use container_engines::Runtime;

/// containerd's and CRI's processes beside each container have names such as `containerd-shim-runc-v2`.
const SHIM: &str = "containerd-shim";
/// Where containerd's names are ids.
const DEFAULT_NAMESPACE: &str = "default";
/// What low-level runtimes are told to do when they start processes, and which of it names the container first.
const COMMANDS: [&str; 4] = ["run", "create", "restore", EXEC];
const EXEC: &str = "exec";
const EXEC_FLAGS: [&str; 6] = ["-t", "--tty", "-d", "--detach", "--no-new-privs", "--ignore-paused"];
/// The longest name that is taken from an argument.
const NAME_BYTES: usize = 76;

/// The container that a program starts, as far as its arguments say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Started {
    /// Its id or name, as the runtime spells it.
    id: Option<String>,
    /// containerd's namespace of it.
    namespace: Option<String>,
    runtime: Option<Runtime>,
}

/// Whether programs of this name start containers.
pub(crate) fn starts_containers(program: &str) -> bool {
    program.starts_with(SHIM) || runtime(program).is_some()
}

fn runtime(program: &str) -> Option<Runtime> {
    Some(match program {
        "runc" | "docker-runc" | "buildkit-runc" => Runtime::Runc,
        "crun" => Runtime::Crun,
        "youki" => Runtime::Youki,
        "runsc" => Runtime::Runsc,
        "conmon" => Runtime::Podman,
        "conmonrs" => Runtime::CriO,
        "lxc-start" | "lxc-execute" => Runtime::Lxc,
        "systemd-nspawn" => Runtime::SystemdNspawn,
        _ => return None,
    })
}

/// What a program of this name starts; `None` if it starts no containers.
pub(crate) fn started_by(program: &str, arguments: &[&str]) -> Option<Started> {
    if program.starts_with(SHIM) {
        return Some(Started {
            id: option(arguments, &["-id"]).and_then(name),
            namespace: option(arguments, &["-namespace"]).and_then(name),
            runtime: Some(Runtime::Containerd),
        });
    }
    let runtime = runtime(program)?;
    let last = || arguments.get(1..)?.last().copied();
    let id = match runtime {
        Runtime::Podman => option(arguments, &["-c", "--cid"]),
        Runtime::CriO => None,
        Runtime::Lxc => option(arguments, &["-n", "--name"]).or_else(last),
        Runtime::SystemdNspawn => option(arguments, &["-M", "--machine"]).or_else(|| {
            let directory = option(arguments, &["-D", "--directory"])?;
            directory.rsplit('/').find(|name| !name.is_empty())
        }),
        _ => match arguments.iter().position(|argument| COMMANDS.contains(argument)) {
            Some(command) if arguments[command] == EXEC => first_operand(&arguments[command + 1..]),
            Some(_) => last(),
            // `runc init` is what becomes the container's program, and is told its id in another way.
            None => None,
        },
    };
    Some(Started {
        id: id.and_then(name),
        namespace: None,
        runtime: Some(runtime),
    })
}

/// The first argument that is no option of `exec` and no value of one. Those without a value are few.
fn first_operand<'a>(arguments: &[&'a str]) -> Option<&'a str> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if !argument.starts_with('-') {
            return Some(argument);
        }
        if !argument.contains('=') && !EXEC_FLAGS.contains(argument) {
            arguments.next();
        }
    }
    None
}

/// The value of an option, in one of these spellings: `-n VALUE`, `-nVALUE`, `--name VALUE` or `--name=VALUE`.
fn option<'a>(arguments: &[&'a str], spellings: &[&str]) -> Option<&'a str> {
    arguments.iter().enumerate().find_map(|(position, argument)| {
        spellings
            .iter()
            .find_map(|spelling| match argument.strip_prefix(spelling)? {
                "" => arguments.get(position + 1).copied(),
                rest if spelling.starts_with("--") => rest.strip_prefix('='),
                rest if spelling.len() == 2 => Some(rest),
                _ => None,
            })
    })
}

/// What a container can be called.
fn name(text: &str) -> Option<String> {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@".contains(&byte);
    let is_name =
        !text.is_empty() && text.len() <= NAME_BYTES && !text.starts_with('-') && text.bytes().all(is_of_name);
    is_name.then(|| text.to_owned())
}

impl Started {
    /// By what a low-level runtime notes of a container.
    pub(crate) fn noted(id: &str, runtime: Runtime) -> Self {
        Started {
            id: name(id),
            namespace: None,
            runtime: Some(runtime),
        }
    }

    /// The same container by what the program above it says: it knows what manages the container, and less exactly which
    /// it is, because it may serve several.
    pub(crate) fn below(self, above: Started) -> Started {
        Started {
            id: self.id.or(above.id),
            namespace: above.namespace.or(self.namespace),
            runtime: above.runtime.or(self.runtime),
        }
    }

    pub(crate) fn runtime(&self) -> Option<Runtime> {
        self.runtime
    }

    /// An id that no other container of this node has: its own, or else one made of its mount namespace's number, which
    /// is another container's only after its end.
    pub(crate) fn unique_id(self, mount_namespace: u32) -> String {
        let is_random = |id: &str| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        match (self.id, self.namespace) {
            (Some(id), Some(namespace)) if namespace != DEFAULT_NAMESPACE && !is_random(&id) => {
                format!("{namespace}/{id}")
            }
            (Some(id), _) => id,
            (None, _) => format!("mount-namespace-{mount_namespace}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2a7c1d9be04856a1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728";

    /// The container's id and runtime by the programs that started it, from the nearest on.
    fn check(programs: &[&str], expected: &str) {
        let started = programs.iter().map(|line| {
            let line = line.replace("<ID>", ID);
            let arguments: Vec<&str> = line.split(' ').collect();
            started_by(arguments[0], &arguments).unwrap()
        });
        let started = started.reduce(Started::below).unwrap();
        let runtime = started.runtime().unwrap();
        let id = started.unique_id(7).replace(ID, "<ID>");
        assert_eq!(format!("{runtime} {id}"), expected, "{programs:?}");
    }

    #[test]
    fn a_runtimes_arguments_name_the_container() {
        check(&["runc run web"], "runc web");
        check(&["runc --root /x run --bundle /b web.1"], "runc web.1");
        check(&["crun create --bundle /b --pid-file /p <ID>"], "crun <ID>");
        check(&["youki run -b /b web"], "youki web");
        check(&["runc --root /x exec web /bin/sh -c ls"], "runc web");
        check(
            &["runc exec -t --cwd /x --env=A=1 -u 0 --detach web ls run"],
            "runc web",
        );
        check(&["crun exec --no-new-privs web create"], "crun web");
        check(&["lxc-start -n web -F"], "lxc web");
        check(&["lxc-start --name=web"], "lxc web");
        check(&["lxc-start web"], "lxc web");
        check(&["systemd-nspawn -D /srv/web/ -b"], "systemd-nspawn web");
        check(&["systemd-nspawn -Mshop --directory=/srv/web"], "systemd-nspawn shop");
        check(&["conmon --api-version 1 -c <ID> -u x"], "podman <ID>");
    }

    #[test]
    fn what_manages_the_runtime_says_whose_container_it_is() {
        let shim = "containerd-shim-runc-v2 -namespace shop -id web -address /a";
        check(&[shim], "containerd shop/web");
        check(&["runc --log /l create --bundle /b web", shim], "containerd shop/web");
        check(
            &["containerd-shim-runc-v2 -namespace default -id web"],
            "containerd web",
        );
        check(&["containerd-shim-runc-v2 -namespace moby -id <ID>"], "containerd <ID>");
        check(&["crun create --bundle /b <ID>", "conmon -c <ID>"], "podman <ID>");
    }

    #[test]
    fn a_container_without_a_usable_name_is_called_after_its_mount_namespace() {
        check(&["runc"], "runc mount-namespace-7");
        check(&["runc init"], "runc mount-namespace-7");
        check(&["runc exec -t"], "runc mount-namespace-7");
        check(&["runc run a/../b"], "runc mount-namespace-7");
        check(&["systemd-nspawn --boot"], "systemd-nspawn mount-namespace-7");
    }

    #[test]
    fn other_programs_start_no_containers() {
        for program in ["bash", "runcible", "dockerd", "containerd", "", "lxc"] {
            assert!(!starts_containers(program), "{program}");
            assert_eq!(started_by(program, &[]), None);
        }
    }
}
