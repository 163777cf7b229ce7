//! What a person does with a cluster: manifests, shells, logs.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::Cluster;
use crate::engine::retry;
use crate::program::run;
use crate::sensor::Sensor;
use crate::terminal::Terminal;

impl Cluster {
    /// The `kubectl` command, on the node.
    pub fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut kubectl = self.inside("env");
        kubectl
            .arg(format!("KUBECONFIG={}", self.path().join("admin.kubeconfig").display()))
            .arg(format!("HOME={}", self.path().display()))
            .arg(self.programs.join("kubectl"))
            .args(arguments)
            .stdin(Stdio::null());
        kubectl
    }

    /// The answer to a question, without the end of its last line.
    pub fn ask(&self, arguments: &[&str]) -> Result<String> {
        let output = run(&mut self.kubectl(arguments))?;
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Applies what the text describes.
    pub fn apply(&self, manifest: &str) -> Result<()> {
        let file = self.path().join("manifests/applied.yaml");
        fs::write(&file, manifest)?;
        run(self.kubectl(&["apply", "-f"]).arg(file))?;
        Ok(())
    }

    /// Waits until `kubectl get` gives an answer of which `find` makes something.
    pub fn wait_for<T>(&self, what: &str, question: &[&str], find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let found = retry(what, || {
            let output = self
                .kubectl(question)
                .output()
                .ok()
                .filter(|output| output.status.success())?;
            find(String::from_utf8(output.stdout).ok()?.trim_end())
        });
        found.with_context(|| {
            let answer = self.kubectl(question).output();
            format!("{question:?} gives {answer:?}")
        })
    }

    /// Waits until all containers of a pod run.
    pub fn wait_for_running(&self, namespace: &str, pod: &str) -> Result<()> {
        let condition = "--output=jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
        let question = ["-n", namespace, "get", "pod", pod, condition];
        let ready = self.wait_for("the pod is not ready", &question, |answer| {
            (answer == "True").then_some(())
        });
        ready.with_context(|| self.ask(&["-n", namespace, "describe", "pod", pod]).unwrap_or_default())
    }

    /// `kubectl exec` without a terminal, to its end.
    pub fn exec(&self, pod: &PodContainer<'_>, command: &[&str]) -> Result<String> {
        let output = run(self
            .kubectl(&["exec", "-n", pod.namespace, pod.pod, "-c", pod.container, "--"])
            .args(command))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `kubectl exec -it`, with a shell.
    pub fn shell(&self, pod: &PodContainer<'_>) -> Result<Terminal> {
        Terminal::open(
            self.kubectl(&["exec", "-it", "-n", pod.namespace, pod.pod, "-c", pod.container, "--"])
                .arg("/bin/sh"),
        )
    }

    /// Removes it at once.
    pub fn delete(&self, namespace: &str, kind: &str, name: &str) -> Result<()> {
        run(&mut self.kubectl(&[
            "-n",
            namespace,
            "delete",
            kind,
            name,
            "--wait=false",
            "--grace-period=0",
            "--force",
        ]))?;
        Ok(())
    }

    /// What a sensor's pod has written and writes: documents as its output, the rest as its diagnostics. Waits until it
    /// watches.
    pub fn follow(&self, namespace: &str, pod: &str) -> Result<Sensor> {
        let logs = self.kubectl(&["-n", namespace, "logs", "--follow", pod]);
        // Without an end of its own, `kubectl` ends with the first line that nobody reads.
        let split = r#"exec sed -u -n -e '/^{/p' -e '/^{/!w /dev/stderr' < <("$@")"#;
        let mut follow = Command::new("bash");
        follow
            .args(["-c", split, "follow"])
            .arg(logs.get_program())
            .args(logs.get_args());
        Sensor::start(&mut follow)
    }

    /// What kustomize makes of a folder.
    pub fn kustomize(&self, folder: &Path) -> Result<String> {
        let output = run(self.kubectl(&["kustomize"]).arg(folder))?;
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// A container of a pod.
pub struct PodContainer<'a> {
    pub namespace: &'a str,
    pub pod: &'a str,
    pub container: &'a str,
}
