//! The command line: what can be said, and how it ends.
//!
//! Exit status: 0 done, 1 what was checked has problems, 2 cannot be done as asked; then one line says why and what
//! mends it.

mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::{Options, Settings};

/// A visual dataflow runtime for the Internet of Things, built on events that are kept.
#[derive(Debug, Parser)]
#[command(name = "tidewire", version, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the server (what happens without a command)
    Run,
    /// Prints the effective settings as a settings file
    Config,
}

/// How a command ends when it does not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub status: u8,
    pub text: String,
}

impl Failure {
    /// Cannot be done as asked.
    pub fn usage(text: impl ToString) -> Self {
        Failure { status: 2, text: text.to_string() }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::usage(error)
    }
}

type Outcome = Result<(), Failure>;

/// Runs what the arguments say.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => {
            // Help and version, asked for.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&Failure::usage(one_line(&error))),
    };
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    if !failure.text.is_empty() {
        eprintln!("tidewire: {}", failure.text.replace('\n', " "));
    }
    ExitCode::from(failure.status)
}

fn dispatch(cli: Cli) -> Outcome {
    let settings = Settings::resolve(cli.options)?;
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => run::run(settings),
        Command::Config => {
            print!("{}", settings.to_toml());
            Ok(())
        }
    }
}

/// What clap says over several lines, in one: what is wrong, and what would be right.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("the arguments cannot be understood");
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let tip = lines.find_map(|line| line.strip_prefix("tip: "));
    match tip {
        Some(tip) => format!("{first}; {tip}"),
        None => format!("{first}; `tidewire --help` lists what there is"),
    }
}

#[cfg(test)]
#[path = "cli/tests.rs"]
mod tests;
