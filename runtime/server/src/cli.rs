//! The command line: what can be said, and how it ends.
//!
//! Exit status: 0 done, 1 what was checked has problems, 2 cannot be done as asked; then one line says why and what
//! mends it.

mod accounts;
mod backup;
mod bench;
mod consumer;
mod flows;
mod gen_schemas;
mod keys;
mod local;
mod log;
mod progress;
mod projection;
mod run;
mod schema;

use std::path::PathBuf;
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
    Run {
        /// Which part of the work this process does: all
        #[arg(long, value_name = "ROLE")]
        role: Option<String>,
    },
    /// Prints the effective settings as a settings file
    Config,
    /// Finds problems in flow files; exit status 1 when there are any
    Check {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Deploys a flow file
    Import {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Writes the deployed flows, without secrets
    Export {
        /// Write here instead of to standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Looks into the event log
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Looks at read models and builds them anew
    #[command(subcommand)]
    Projection(projection::ProjectionCommand),
    /// Looks at groups of consumers and at what they put aside
    #[command(subcommand)]
    Consumer(consumer::ConsumerCommand),
    /// Registers schemas of event types and tries events on them
    #[command(subcommand)]
    Schema(schema::SchemaCommand),
    /// Manages users
    #[command(subcommand)]
    User(accounts::UserCommand),
    /// Manages API tokens
    #[command(subcommand)]
    Token(accounts::TokenCommand),
    /// Measures this machine and this program
    Bench {
        /// Only figures whose names begin so
        names: Vec<String>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// Also what takes more than a minute
        #[arg(long)]
        long: bool,
        /// The process that holds the large log
        #[arg(long, hide = true, num_args = 2, value_names = ["FOLDER", "WHAT"])]
        large_log: Option<Vec<String>>,
    },
    /// Writes JSON Schemas of node types and of the API
    Gen {
        #[arg(default_value = "schemas", value_name = "DIR")]
        folder: PathBuf,
        /// Only say whether they are up to date
        #[arg(long)]
        check: bool,
    },
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
    let mut options = cli.options;
    let command = cli.command.unwrap_or(Command::Run { role: None });
    if let Command::Run { role: Some(role) } = &command {
        options.role = Some(role.clone());
    }
    let settings = Settings::resolve(options)?;
    match command {
        Command::Run { .. } => run::run(settings),
        Command::Config => {
            print!("{}", settings.to_toml());
            Ok(())
        }
        Command::Check { files } => flows::check(&files),
        Command::Import { file } => flows::import(&settings, &file),
        Command::Export { out } => flows::export(&settings, out.as_deref()),
        Command::Log(command) => log::run(&settings, command),
        Command::Projection(command) => projection::run(&settings, command),
        Command::Consumer(command) => consumer::run(&settings, command),
        Command::Schema(command) => schema::run(&settings, command),
        Command::User(command) => accounts::user(&settings, command),
        Command::Token(command) => accounts::token(&settings, command),
        Command::Bench { large_log: Some(what), .. } => bench::large_log(&what),
        Command::Bench { names, json, long, .. } => bench::run(&bench::Asked { names, long }, json),
        Command::Gen { folder, check } => gen_schemas::run(&folder, check),
    }
}

/// What clap says over several lines, in one: what is wrong, and what would be right.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("the arguments cannot be understood");
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let tip = lines.find_map(|line| line.strip_prefix("tip: "));
    let tip = tip.map(|tip| format!("; {tip}")).unwrap_or_default();
    format!("{first}{tip}; `tidewire --help` lists what there is")
}

#[cfg(test)]
#[path = "cli/tests.rs"]
mod tests;
