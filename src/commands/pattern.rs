//! Prints a safe pattern.

use serde::Serialize;

use super::Session;
use crate::{
    error::Error,
    patterns::{self, Pattern, PatternError, Spec},
};

/// Print the SQL of a safe pattern, up and down.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper pattern create-index table=orders columns=status")]
pub(crate) struct Args {
    /// Name of the pattern [default: list them].
    pub(crate) name: Option<String>,
    /// Arguments of the pattern, as key=value.
    pub(crate) arguments: Vec<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    let Some(name) = &args.name else {
        list(session);
        return Ok(0);
    };
    let pattern = build(name, &args.arguments)?;
    if session.json() {
        session.print_json(&document(name, &pattern));
    } else {
        let files: Vec<String> = (0..pattern.phases.len())
            .map(|phase| pattern.file(phase, &pattern.describe(phase), false))
            .collect();
        session.print(&files.join("\n"));
    }
    Ok(0)
}

/// Builds a pattern, or says which argument is wrong and which there are.
pub(super) fn build(name: &str, arguments: &[String]) -> Result<Pattern, Error> {
    patterns::build(name, arguments).map_err(|error| {
        let remedy = match patterns::find(name) {
            Ok(spec) => usage(spec),
            Err(_) => {
                let names: Vec<&str> = patterns::ALL.iter().map(|spec| spec.name).collect();
                format!("The patterns are {}.", names.join(", "))
            }
        };
        let what = match error {
            error @ PatternError::UnknownPattern(_) => error.to_string(),
            error => format!("pattern {name}: {error}"),
        };
        Error::usage(what, remedy)
    })
}

fn usage(spec: &Spec) -> String {
    let keys: Vec<&str> = spec.keys.iter().map(|key| key.name).collect();
    format!(
        "Its parameters are {}. Example: lockkeeper pattern {} {}",
        keys.join(", "),
        spec.name,
        spec.example
    )
}

fn list(session: &Session) {
    if session.json() {
        session.print_json(&Listing {
            schema: 1,
            patterns: patterns::ALL.iter().map(|spec| Entry::of(spec)).collect(),
        });
        return;
    }
    let mut out = String::new();
    for spec in patterns::ALL {
        out.push_str(&format!("{}\n  {}\n", spec.name, spec.summary));
        for key in spec.keys {
            let mark = if key.required { "" } else { "?" };
            out.push_str(&format!("    {:<14} {}\n", format!("{}{mark}", key.name), key.help));
        }
        out.push_str(&format!("  lockkeeper pattern {} {}\n\n", spec.name, spec.example));
    }
    session.print(out.trim_end());
}

#[derive(Serialize)]
struct Listing {
    schema: u32,
    patterns: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    summary: &'static str,
    example: &'static str,
    parameters: Vec<Parameter>,
}

#[derive(Serialize)]
struct Parameter {
    name: &'static str,
    required: bool,
    help: &'static str,
}

impl Entry {
    fn of(spec: &Spec) -> Self {
        Self {
            name: spec.name,
            summary: spec.summary,
            example: spec.example,
            parameters: spec
                .keys
                .iter()
                .map(|key| Parameter { name: key.name, required: key.required, help: key.help })
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    pattern: &'a str,
    description: &'a str,
    phases: Vec<Phase<'a>>,
}

#[derive(Serialize)]
struct Phase<'a> {
    name: &'a str,
    description: String,
    notes: &'a [String],
    up: &'a str,
    down: &'a str,
}

fn document<'a>(name: &'a str, pattern: &'a Pattern) -> Document<'a> {
    let phases = pattern.phases.iter().enumerate().map(|(at, phase)| Phase {
        name: phase.name,
        description: pattern.describe(at),
        notes: &phase.notes,
        up: &phase.up,
        down: &phase.down,
    });
    Document { schema: 1, pattern: name, description: &pattern.description, phases: phases.collect() }
}

#[cfg(test)]
mod tests {
    use crate::{patterns, rules};

    /// A pattern that silences a rule must name one that exists.
    #[test]
    fn ignores_in_patterns_name_rules() {
        let arguments = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for call in [
            "rename-column table=t from=a to=b type=text not_null=true",
            "drop-column table=t column=a type=text",
            "change-type table=t column=a from=int to=bigint not_null=true default=0",
            "rename-table table=t to=u",
        ] {
            let (name, rest) = call.split_once(' ').unwrap();
            let up = patterns::build(name, &arguments(rest)).unwrap().up();
            for line in up.lines().filter_map(|line| line.strip_prefix("-- lockkeeper: ignore ")) {
                let rule = line.split(' ').next().unwrap();
                assert!(rules::find(rule).is_some(), "{name}: {rule}");
            }
        }
    }
}
