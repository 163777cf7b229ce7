use std::cell::Cell;

use super::*;
use proptest::prelude::*;

const A: &str = "3f2a7c1d9be04856a1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728";
const B: &str = "b07e4c1d9be04856a1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5069999";

fn render(path: &str) -> String {
    fn one(identity: &ContainerIdentity) -> String {
        let id = match identity.id.as_str() {
            A => "A",
            B => "B",
            other => other,
        };
        let mut text = match identity.runtime {
            Some(runtime) => format!("{runtime} {id}"),
            None => format!("? {id}"),
        };
        if let Some(pod) = &identity.pod_uid {
            text += &format!(" pod {pod}");
        }
        if let Some(uid) = identity.rootless_owner {
            text += &format!(" of user {uid}");
        }
        if let Some(outer) = &identity.nested_in {
            text += &format!(" in ({})", one(outer));
        }
        text
    }
    identify(path).map_or_else(|| "host".to_owned(), |identity| one(&identity))
}

/// `<A>` and `<B>` in a path stand for two container ids.
fn check(path: &str, expected: &str) {
    let path = path.replace("<A>", A).replace("<B>", B);
    assert_eq!(render(&path), expected, "{path}");
}

#[test]
fn a_refuted_claim_leaves_the_outermost_container_or_none() {
    let nested = identify(&format!("/docker/{A}/docker-{B}.scope")).unwrap();
    let outermost = nested.nested_in.as_deref().cloned();
    assert_eq!(nested.clone().unmask(|claim| claim.container.id == B), outermost);
    assert_eq!(nested.clone().unmask(|_| false), Some(nested));
    let of_user = identify(&format!("/user.slice/user@1000.service/docker-{A}.scope")).unwrap();
    assert_eq!(of_user.unmask(|claim| claim.rootless_owner == Some(1000)), None);
}

/// Counts the cgroups that it is asked about; one is a container's.
struct Counting {
    asked: Cell<usize>,
    cgroup: String,
}

impl Engines for Counting {
    fn revision(&self) -> u64 {
        0
    }

    fn refutes(&self, _claim: ContainerClaim<'_>) -> bool {
        false
    }

    fn container_in(&self, cgroups: &[&str]) -> Option<(usize, String, Runtime)> {
        self.asked.set(self.asked.get() + cgroups.len());
        let position = cgroups.iter().position(|cgroup| *cgroup == self.cgroup)?;
        Some((position, A.to_owned(), Runtime::Podman))
    }
}

#[test]
fn however_deep_a_cgroup_is_engines_are_asked_about_few_above_it() {
    let engines = Counting {
        asked: Cell::new(0),
        cgroup: "custom/parent".to_owned(),
    };
    let deep = "/a".repeat(2_040);
    assert_eq!(settle(&deep, &engines), None);
    assert!(engines.asked.get() <= DEPTH_OF_ENGINES * DEPTH_OF_ENGINES);
    let below = format!("/node.slice/custom/parent{deep}");
    assert_eq!(
        settle(&below, &engines).map(|container| container.id).as_deref(),
        Some(A)
    );
}

#[test]
fn docker() {
    check("/docker/<A>", "docker A");
    check("/system.slice/docker-<A>.scope", "docker A");
    check("/machine.slice/docker-<A>.scope", "docker A");
    check("/system.slice:docker:<A>", "docker A");
    check("/custom/parent/<A>", "? A");
    check("/ecs/0123456789abcdef0123456789abcdef/<A>", "? A");
    check(
        "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-<A>.scope",
        "docker A of user 1000",
    );
}

#[test]
fn docker_with_cgroups_made_inside() {
    check("/docker/<A>/init.scope", "docker A");
    check("/docker/<A>/system.slice/cron.service", "docker A");
    check("/system.slice/docker-<A>.scope/init", "docker A");
}

#[test]
fn build_steps() {
    check(
        "/docker/buildkit/kq3wvo0hy5z5b1bqzh6ug6n5q",
        "buildkit kq3wvo0hy5z5b1bqzh6ug6n5q",
    );
    check(
        "/buildkit/kq3wvo0hy5z5b1bqzh6ug6n5q",
        "buildkit kq3wvo0hy5z5b1bqzh6ug6n5q",
    );
    check(
        "/system.slice/docker-kq3wvo0hy5z5b1bqzh6ug6n5q.scope",
        "buildkit kq3wvo0hy5z5b1bqzh6ug6n5q",
    );
    check("/docker/buildkit", "host");
}

#[test]
fn pods_on_containerd() {
    check(
        "/kubepods/burstable/pod6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab/<A>",
        "? A pod 6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab",
    );
    check(
        "/kubepods/pod6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab/<A>",
        "? A pod 6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab",
    );
    check(
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod6a1c3b1e_1f2d_4c3b_9a8f_0123456789ab.slice/cri-containerd-<A>.scope",
        "containerd A pod 6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab",
    );
    check(
        "/kubepods.slice/kubepods-pod6a1c3b1e_1f2d_4c3b_9a8f_0123456789ab.slice/docker-<A>.scope",
        "docker A pod 6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab",
    );
    check(
        "/system.slice/containerd.service/kubepods-burstable-pod6a1c3b1e_1f2d_4c3b_9a8f_0123456789ab.slice:cri-containerd:<A>",
        "containerd A pod 6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab",
    );
}

#[test]
fn static_pods() {
    check(
        "/kubepods/burstable/pod0123456789abcdef0123456789abcdef/<A>",
        "? A pod 0123456789abcdef0123456789abcdef",
    );
}

#[test]
fn a_pod_without_a_container_is_the_host() {
    check("/kubepods/burstable/pod6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab", "host");
    check("/kubepods.slice/kubepods-burstable.slice", "host");
}

#[test]
fn cri_o() {
    check(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6a1c3b1e_1f2d_4c3b_9a8f_0123456789ab.slice/crio-<A>.scope",
        "cri-o A pod 6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab",
    );
    check(
        "/kubepods/besteffort/pod6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab/crio-<A>",
        "cri-o A pod 6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab",
    );
    check(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6a1c3b1e_1f2d_4c3b_9a8f_0123456789ab.slice/crio-<A>.scope/container",
        "cri-o A pod 6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab",
    );
    check("/system.slice/crio-<A>.scope", "cri-o A");
}

#[test]
fn podman() {
    check("/machine.slice/libpod-<A>.scope", "podman A");
    check("/machine.slice/libpod-<A>.scope/container", "podman A");
    check(
        "/machine.slice/machine-libpod_pod_<B>.slice/libpod-<A>.scope",
        "podman A",
    );
    check("/libpod_parent/libpod-<A>", "podman A");
    check("/system.slice/web.service/libpod-payload-<A>", "podman A");
}

#[test]
fn rootless_podman() {
    check(
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-<A>.scope/container",
        "podman A of user 1000",
    );
    check(
        "/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_<B>.slice/libpod-<A>.scope",
        "podman A of user 1000",
    );
}

#[test]
fn helpers_beside_a_container_are_the_host() {
    check("/machine.slice/libpod-conmon-<A>.scope", "host");
    check("/libpod_parent/conmon", "host");
    check("/system.slice/web.service/runtime", "host");
    check(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6a1c3b1e_1f2d_4c3b_9a8f_0123456789ab.slice/crio-conmon-<A>.scope",
        "host",
    );
    check("/system.slice/docker.service", "host");
    check("/system.slice/containerd.service", "host");
    check("/machine.slice/machine-libpod_pod_<A>.slice", "host");
}

#[test]
fn containerd_without_kubernetes() {
    check("/k8s.io/<A>", "containerd A");
    check("/default/<A>", "containerd A");
    check("/default/my-web.1", "containerd my-web.1");
    check("/default/my-web.1/init.scope", "containerd my-web.1");
    check("/system.slice/nerdctl-<A>.scope", "containerd A");
    check("/other-namespace/<A>", "? A");
}

#[test]
fn names_that_containerd_would_refuse_are_the_host() {
    check("/default", "host");
    check("/default/", "host");
    check("/default/-web", "host");
    check("/default/web..1", "host");
    check("/default/a b", "host");
    check(&format!("/default/{}", "a".repeat(77)), "host");
    check("/user.slice/default/web", "host");
    check("/k8s.io/-web", "host");
    check("/user.slice/k8s.io/web", "host");
}

#[test]
fn names_outside_of_containerds_default_namespace_are_told_with_it() {
    check("/k8s.io/web", "containerd k8s.io/web");
    check("/k8s.io/web/init", "containerd k8s.io/web");
}

#[test]
fn containers_of_a_runtime_under_systemd() {
    check("/system.slice/runc-web.scope", "runc web");
    check("/user.slice/crun-web.1.scope", "crun web.1");
    check("/system.slice/youki-web.scope", "youki web");
    check("/system.slice/runc-.scope", "host");
    check("/system.slice/runc-web.service", "host");
}

#[test]
fn lxc_and_incus() {
    check("/lxc.payload.c1", "lxc c1");
    check("/lxc.payload.c1/system.slice/cron.service", "lxc c1");
    check("/lxc.payload.user-1000_c1", "lxc user-1000_c1");
    check("/lxc.payload/c1", "lxc c1");
    check("/lxc/c1", "lxc c1");
    check(
        "/user.slice/user-1000.slice/user@1000.service/app.slice/lxc.payload.c1",
        "lxc c1 of user 1000",
    );
    check("/lxc.payload.c1/system.slice/docker-<A>.scope", "docker A in (lxc c1)");
    check("/docker/<A>/lxc.payload.c1", "lxc c1 in (docker A)");
    check("/lxc.monitor.c1", "host");
    check("/lxc.pivot", "host");
    check("/lxc.payload.", "host");
    check("/lxc.payload.a b", "host");
    check("/srv/lxc/c1", "host");
}

#[test]
fn machines_of_systemd() {
    check(
        "/machine.slice/machine-web.scope/payload/init.scope",
        "systemd-nspawn web",
    );
    check("/machine.slice/machine-my\\x2dweb.scope", "systemd-nspawn my\\x2dweb");
    check(
        "/machine.slice/systemd-nspawn@web.service/payload",
        "systemd-nspawn web",
    );
    check("/machine.slice/machine-web.scope/supervisor", "host");
    check("/machine.slice/systemd-nspawn@web.service/supervisor", "host");
    check(
        "/machine.slice/machine-web.scope/payload/supervisor",
        "systemd-nspawn web",
    );
    check(
        "/machine.slice/machine-qemu\\x2d1\\x2ddesktop.scope/libvirt/emulator",
        "host",
    );
    check("/system.slice/systemd-machined.service", "host");
    check("/system.slice/machine-web.scope", "host");
}

#[test]
fn a_path_that_does_not_begin_at_the_root_names_nothing() {
    check(".../docker/<A>", "host");
    check("...", "host");
    check("docker/<A>", "host");
}

#[test]
fn the_innermost_container_wins_and_keeps_the_outermost() {
    check(
        "/docker/<A>/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod6a1c3b1e_1f2d_4c3b_9a8f_0123456789ab.slice/cri-containerd-<B>.scope",
        "containerd B pod 6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab in (docker A)",
    );
    check("/docker/<A>/docker/<B>", "docker B in (docker A)");
    check("/docker/<A>/docker/<B>/init.scope", "docker B in (docker A)");
    check(
        "/system.slice/docker-<A>.scope/system.slice/docker-<B>.scope",
        "docker B in (docker A)",
    );
    check("/docker/<A>/docker/<A>", "docker A");
}

#[test]
fn a_name_taken_inside_a_container_stays_below_that_container() {
    check("/docker/<A>/docker-<B>.scope", "docker B in (docker A)");
    check(
        "/docker/<A>/user@1000.service/docker-<B>.scope",
        "docker B in (docker A)",
    );
    check("/docker/<A>/default/web", "docker A");
}

#[test]
fn a_name_taken_by_a_user_says_whose_it_is() {
    check(
        "/user.slice/user-1000.slice/user@1000.service/app.slice/docker-<A>.scope",
        "docker A of user 1000",
    );
}

#[test]
fn look_alikes_are_the_host() {
    check("", "host");
    check("/", "host");
    check("/docker", "host");
    check("/init.scope", "host");
    check("/user.slice/user-1000.slice/session-3.scope", "host");
    check("/system.slice/docker-0123456789abcdef0123456789abcdef.scope", "host");
    check("/docker/0123456789abcdef0123456789abcdef", "host");
    check("/docker/<A>0", "host");
    check(&format!("/docker/{}", A.to_uppercase()), "host");
    check("/system.slice/docker-<A>.service", "host");
    check("/system.slice/docker-<A>.scope.d", "host");
    check("/system.slice/xdocker-<A>.scope", "host");
    check("/system.slice/cri-containerd-<A>", "host");
    check("/a:docker:<A>", "host");
}

/// Paths made of pieces that matter, so that they match more often than never.
fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(A.to_owned()),
        Just(B.to_owned()),
        Just("kq3wvo0hy5z5b1bqzh6ug6n5q".to_owned()),
        prop::sample::select(vec![
            "/",
            ":",
            "docker",
            "docker-",
            "docker:",
            "default",
            "k8s.io",
            "buildkit",
            ".scope",
            ".slice",
            "crio-",
            "conmon-",
            "libpod-",
            "payload-",
            "cri-containerd-",
            "nerdctl-",
            "...",
            "lxc.payload.",
            "machine-",
            "supervisor",
            "\\x2d",
            "-pod",
            "pod",
            "user@",
            "1000",
            ".service",
            "é",
            "..",
        ])
        .prop_map(str::to_owned),
        ".{0,4}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_id_is_a_piece_of_the_path(path in path()) {
        if let Some(identity) = identify(&path) {
            prop_assert!(path.contains(&identity.id));
            prop_assert!(identity.id.len() <= "k8s.io/".len() + NAME_BYTES);
            prop_assert!(path.starts_with('/'));
            if let Some(outer) = identity.nested_in {
                prop_assert!(path.contains(&outer.id));
                prop_assert_ne!(outer.id, identity.id);
                prop_assert!(outer.nested_in.is_none());
            }
        }
    }

    #[test]
    fn no_name_chosen_inside_a_container_hides_it(below in path()) {
        let path = format!("/docker/{A}/{below}");
        let Some(identity) = identify(&path) else {
            return Err(TestCaseError::fail("not a container"));
        };
        prop_assert_eq!(identity.outermost_id(), A);
        let outermost = identity.nested_in.as_deref().unwrap_or(&identity);
        prop_assert_eq!(outermost.rootless_owner, None);
    }

    #[test]
    fn any_text_is_accepted(path in ".{0,300}") {
        identify(&path);
    }
}
