//! A person at a terminal: a session of its own with a pseudo-terminal as its controlling terminal.

use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Command, ExitStatus};

use anyhow::{Context as _, Result};
use nix::pty::openpty;

use crate::lines::Lines;

/// A terminal and the program that was started on it.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Lines,
    commands: u32,
}

impl Terminal {
    /// Starts a program in a new session on a new terminal.
    pub fn open(command: &Command) -> Result<Self> {
        let pair = openpty(None, None).context("could not open a pseudo-terminal")?;
        let master = File::from(pair.master);
        let slave = File::from(pair.slave);

        let mut session = Command::new("setsid");
        session
            .args(["--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => session.env(variable, value),
                None => session.env_remove(variable),
            };
        }
        session
            .stdin(slave.try_clone()?)
            .stdout(slave.try_clone()?)
            .stderr(slave);
        let child = session.spawn().context("could not start `setsid`")?;
        Ok(Self {
            child,
            screen: Lines::of(master.try_clone()?),
            keyboard: master,
            commands: 0,
        })
    }

    /// Types a command into the shell on this terminal and waits until it has ended.
    pub fn type_command(&mut self, command: &str) -> Result<()> {
        self.commands += 1;
        let number = self.commands;
        // The terminal echoes what is typed; only the shell makes this sum of it.
        writeln!(self.keyboard, "{command}; echo end-of-command-$(({number} + 1000))")?;
        let end = format!("end-of-command-{}", number + 1000);
        self.screen.wait_for("end of the command on the screen", |line| {
            line.contains(&end).then_some(())
        })
    }

    /// Types a line and waits for nothing.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        writeln!(self.keyboard, "{line}").context("could not type into the terminal")
    }

    /// Leaves the shell.
    pub fn leave(mut self) -> Result<ExitStatus> {
        self.type_line("exit")?;
        self.child.wait().context("could not wait for the terminal's program")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
