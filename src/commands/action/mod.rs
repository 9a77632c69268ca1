//! The entry point of `action.yml`: chooses by event, runs the command, tells GitHub.
//!
//! What it adds to the commands is where their result goes. Telling never changes the exit code: a
//! comment that cannot be written is a warning, and what it would have said is in the job summary.

mod check;
mod choose;
mod deploy;
mod inputs;
mod masks;
mod outputs;
mod runner;

use super::Session;
use crate::{
    error::Error,
    github::event::Event,
    report::escape::{command_data, command_property},
};
use choose::Task;
use inputs::Inputs;
use outputs::Outputs;
use runner::Runner;

/// Run as the GitHub Action: choose by event.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lockkeeper action --command auto\n\nInputs of action.yml arrive as LOCKKEEPER_INPUT_<NAME>, such as LOCKKEEPER_INPUT_FAIL_ON."
)]
pub(crate) struct Args {
    /// auto, check, up, down, plan, status, drift, stats or matrix [default: the input `command`, else auto].
    #[arg(long, value_name = "COMMAND")]
    pub(crate) command: Option<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    let inputs = Inputs::take(&session.env);
    inputs.hand_over(session);
    // Before anything is said, so that nothing said later can show a secret.
    masks::tell(session);
    let mut outputs = Outputs::default();
    let outcome = dispatch(args, &inputs, session, &mut outputs);
    let code = match &outcome {
        Ok(code) => *code,
        Err(error) => {
            annotate(session, "error", "Lockkeeper", &format!("{error}\n{}", error.remedy()));
            outputs.set("status", "failed");
            error.exit_code()
        }
    };
    outputs.set("exit-code", code.to_string());
    if let Err(error) = outputs.write(&session.env) {
        annotate(session, "warning", "Lockkeeper", &error.to_string());
    }
    outcome
}

fn dispatch(args: &Args, inputs: &Inputs, session: &mut Session, outputs: &mut Outputs) -> Result<u8, Error> {
    let runner = Runner::read(&session.env)?;
    let command = args.command.as_deref().or(inputs.get("command")).unwrap_or("auto");
    match choose::choose(command, &runner.event, inputs)? {
        Task::Nothing(why) => {
            annotate(session, "notice", "Lockkeeper", &why);
            outputs.set("status", "nothing-to-do");
            Ok(0)
        }
        Task::Check => check::run(inputs, &runner, session, outputs),
        Task::Up => deploy::up(inputs, &runner, session, outputs),
        Task::Down(version) => deploy::down(version, inputs, &runner, session, outputs),
        Task::Look(command) => deploy::look(command, inputs, session, outputs),
    }
}

/// One annotation, on the run where there is no line to put it on.
fn annotate(session: &Session, command: &str, title: &str, text: &str) {
    let text = crate::report::escape::log_text(text);
    session.print(&format!(
        "::{command} title={}::{}",
        command_property(title),
        command_data(text.trim_end())
    ));
}

impl Event {
    /// The pull request that the event is about.
    fn pull_request(&self) -> Option<&crate::github::event::PullRequest> {
        match self {
            Self::PullRequest(pull) => Some(pull),
            _ => None,
        }
    }
}
