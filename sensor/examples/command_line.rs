//! Writes the manual pages of all commands, and completions for bash, fish and zsh, into a folder.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, io};

use clap::Command;
use clap_complete::Shell;

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: command_line FOLDER");
        return ExitCode::FAILURE;
    };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("could not write into `{}`: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &PathBuf) -> io::Result<()> {
    let mut command = sensor::command_line();
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut command, "tidewaiter", folder)?;
    }
    clap_mangen::generate_to(without_help(sensor::command_line()), folder)
}

/// Without the command `help` below any: it says nothing that the pages do not.
fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}
