//! The command line: one file a command, and how an error is told.

mod action;
mod baseline;
mod check;
mod create;
mod doctor;
pub(crate) mod down;
mod drift;
mod pattern;
mod plan;
mod platform;
mod repair;
mod rules;
mod session;
mod stats;
mod status;
pub(crate) mod target;
mod test;
pub(crate) mod up;
mod verify;

use std::ffi::OsString;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use session::Session;

pub(crate) use crate::env::Env;
use crate::{error::Error, report::deploy::Told};

/// Check, apply and roll back Postgres migrations without blocking anyone.
#[derive(Debug, Parser)]
#[command(name = "lockkeeper", version, about, disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Globals {
    /// Configuration file [default: lockkeeper.toml, where there is one].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<String>,
    /// Folder of the migrations [default: `migrations.dir` of the configuration, else
    /// supabase/migrations, else migrations].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<String>,
    /// Address of the target database. Better set LOCKKEEPER_DATABASE_URL: other users of a
    /// machine can read a command line.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// One of the configuration's `[targets.NAME]`: its variable holds the address.
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "database_url")]
    pub(crate) target: Option<String>,
    /// What to print on stdout: text, or one JSON document.
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub(crate) format: Format,
    /// Colors in text output.
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Color,
    /// Say more (twice: every step).
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Say only what went wrong.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// How a result is printed. Only `check` and `action` know more than text and json.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Sarif,
    Github,
    Markdown,
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Test(test::Args),
    Plan(plan::Args),
    Up(up::Args),
    Down(down::Args),
    Status(status::Args),
    Create(create::Args),
    Baseline(baseline::Args),
    Repair(repair::Args),
    Pattern(pattern::Args),
    Rules(rules::Args),
    Stats(stats::Args),
    Drift(drift::Args),
    Verify(verify::Args),
    Doctor(doctor::Args),
    Action(action::Args),
}

/// Runs the program. Returns the exit code of contract section 2.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            if code == 2 && asks_for_json(&arguments) {
                let text = error.to_string();
                // A first line that ends in a colon goes on in the next paragraph.
                let end =
                    if text.lines().next().is_some_and(|line| line.ends_with(':')) { "\n\n" } else { "\n" };
                let (message, help) = text.split_once(end).unwrap_or((&text, ""));
                let told = Told {
                    message: message
                        .trim_start_matches("error: ")
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" "),
                    help: help.trim().to_owned(),
                    exit_code: code,
                };
                session::print_document(&session::error_document(&told));
            }
            // Nowhere is left to say that the terminal is gone.
            let _ = error.print();
            return code;
        }
    };
    let mut session = Session::new(cli.globals, Env::new(environment));
    let outcome = session.check_format(&cli.command).and_then(|()| cli.command.run(&mut session));
    let code = match outcome {
        Ok(code) => code,
        Err(error) => {
            session.tell(&error);
            session.print_error(&error);
            error.exit_code()
        }
    };
    // What a deploy has done does not fail for want of paper; the other commands are their result.
    let deploys = matches!(cli.command, Command::Up(_) | Command::Down(_) | Command::Action(_));
    if session.tell_unprinted() && code == 0 && !deploys { 2 } else { code }
}

/// Whether a command line that does not parse asks for JSON.
fn asks_for_json(arguments: &[OsString]) -> bool {
    let pair = |pair: &[OsString]| pair[0] == "--format" && pair[1] == "json";
    arguments.windows(2).any(pair) || arguments.iter().any(|argument| argument == "--format=json")
}

/// Reads a command line that `action` made out of its inputs.
fn parse(line: &[String]) -> Result<Command, Error> {
    let line = std::iter::once("lockkeeper").chain(line.iter().map(String::as_str));
    Cli::try_parse_from(line).map(|cli| cli.command).map_err(|error| {
        let text = error.to_string();
        let what = text.trim_start_matches("error: ").lines().next().unwrap_or_default().to_owned();
        Error::usage(what, "Correct the input of that name under `with:` in the workflow.")
    })
}

impl Command {
    fn run(&self, session: &mut Session) -> Result<u8, Error> {
        match self {
            Self::Check(args) => check::run(args, session),
            Self::Test(args) => test::run(args, session),
            Self::Plan(args) => plan::run(args, session),
            Self::Up(args) => up::run(args, session),
            Self::Down(args) => down::run(args, session),
            Self::Status(args) => status::run(args, session),
            Self::Create(args) => create::run(args, session),
            Self::Baseline(args) => baseline::run(args, session),
            Self::Repair(args) => repair::run(args, session),
            Self::Pattern(args) => pattern::run(args, session),
            Self::Rules(args) => rules::run(args, session),
            Self::Stats(args) => stats::run(args, session),
            Self::Drift(args) => drift::run(args, session),
            Self::Verify(args) => verify::run(args, session),
            Self::Doctor(args) => doctor::run(args, session),
            Self::Action(args) => action::run(args, session),
        }
    }
}
