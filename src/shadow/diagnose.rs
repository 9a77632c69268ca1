//! From Postgres' error to its cause in our words, and what to do about it.
//!
//! Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>

use super::{lock_trace::first_word, stage::Notice};
use crate::sql;

/// What is known about a failed statement beside the error.
pub(super) struct Circumstances<'a> {
    pub(super) statement: &'a str,
    /// The server's own hint.
    pub(super) hint: Option<&'a str>,
    pub(super) supabase: bool,
    /// Statements of the history that could not be replayed.
    pub(super) base_incomplete: bool,
    /// A file of the change before this one that failed.
    pub(super) blocked: Option<&'a str>,
    /// A table that an IF NOT EXISTS of this file passed over, and how it differs.
    pub(super) hidden: Option<&'a Hidden>,
}

/// A table that was there already, when CREATE TABLE IF NOT EXISTS was to make another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hidden {
    pub(super) table: String,
    /// Columns that the file writes and the table lacks.
    pub(super) lacks: Vec<String>,
    pub(super) has: Vec<String>,
}

/// The cause and the remedy, for the commonest SQLSTATEs; else the server's hint.
pub(super) fn help(code: &str, message: &str, about: &Circumstances<'_>) -> Option<String> {
    let object = quoted(message);
    let name = object.as_deref().unwrap_or("it");
    let text = match code {
        "42P01" => missing(&format!("the relation `{name}`"), about),
        "3F000" => missing(&format!("the schema `{name}`"), about),
        "42704" => {
            if message.contains("role") {
                format!(
                    "The role {name} is made by no migration. Create it in an earlier one (guarded by a look \
                     into pg_roles), or leave it out."
                )
            } else {
                missing(&format!("the object `{name}`"), about)
            }
        }
        "42883" => missing("the function or operator with these argument types", about),
        "42703" | "42P10" | "42830" | "23502" | "42804" if hidden_table(about).is_some() => {
            hidden_table(about).unwrap_or_default()
        }
        "42703" => format!(
            "The column `{name}` does not exist at this point of the history. Check its spelling, and that an \
             earlier migration adds it.{}",
            blocked(about)
        ),
        "42P07" | "42710" | "42701" | "42P06" | "42723" => format!(
            "`{name}` exists already. Drop it first, rename the new one, or use IF NOT EXISTS or OR REPLACE \
             if the existing one is sure to be the same."
        ),
        "42P10" => "ON CONFLICT needs a unique index or constraint on exactly these columns: create one, or \
                    name the columns of an existing one. A partial index needs its WHERE repeated."
            .into(),
        "42P17" if message.contains("IMMUTABLE") => {
            "An index or generated column may only use functions that give the same result for ever. Casts \
             between timestamptz and date or text depend on the time zone: write \
             `(ts AT TIME ZONE 'UTC')::date`, or wrap the expression in an IMMUTABLE function that truly is."
                .into()
        }
        "55P04" => "A value added to an enum cannot be used before the transaction that added it is \
                    committed: put ALTER TYPE … ADD VALUE into a migration of its own, before this one."
            .into(),
        "25001" => "This statement cannot run inside a transaction block. Put it into a migration of its \
                    own; Lockkeeper runs such a file outside a transaction."
            .into(),
        "42501" => refused(message, about),
        "23502" => "A column that must not be null holds nulls, or would get them. Fill it first, or give it \
                    a default; on a large table in batches."
            .into(),
        "23505" => "Rows violate the uniqueness. Remove or merge the duplicates before the constraint or \
                    index is created."
            .into(),
        "23503" => "Rows refer to rows that do not exist. Repair them first, or add the constraint NOT VALID \
                    and validate it in a later migration."
            .into(),
        "23514" => "Rows violate the CHECK. Repair them first, or add the constraint NOT VALID and validate \
                    it in a later migration."
            .into(),
        "42804" | "42846" => {
            if first_word(about.statement) == "alter" && message.contains("cast automatically") {
                "Postgres does not know how to turn the old values into the new type: say it with USING."
                    .into()
            } else {
                "The types do not match. For a foreign key both columns must have the same type; else cast \
                 explicitly."
                    .into()
            }
        }
        "42830" => "A foreign key must point at a primary key or a unique constraint: create one on the \
                    referenced columns first."
            .into(),
        "2BP01" => "Other objects depend on it. Drop or change them first, in the right order; CASCADE would \
                    drop them silently."
            .into(),
        "0A000" if message.contains("shadow has no network") => {
            "The shadow cannot reach the network, so this statement could not be rehearsed.".into()
        }
        "0A000" if message.contains("view") || message.contains("rule") => {
            "A view uses the column. Drop the view, change the column, and create the view again in the same \
             migration."
                .into()
        }
        "42P13" => "A function cannot be replaced by one with another result or other parameter names: DROP \
                    FUNCTION first, and CREATE it again in the same migration, with its grants."
            .into(),
        "42P16" if message.contains("view") => {
            "CREATE OR REPLACE VIEW can only add columns at the end: DROP VIEW first, and CREATE it again in the \
             same migration, with its grants."
                .into()
        }
        "42P16" => "The table cannot be defined like this; a table has one primary key at most, for example.".into(),
        "22001" => "A value is longer than its column allows. Shorten the values first, or widen the column.".into(),
        "55006" => "Something uses the object at this moment. In a migration it is mostly the file itself: an open \
                    cursor, or rows changed earlier in the same transaction whose triggers wait."
            .into(),
        "57014" => "It ran longer than the shadow's limit (`shadow.timeout`) on an almost empty database. \
                    Look for a loop without end, or raise the limit."
            .into(),
        "55P03" | "40P01" => "It waited for a lock that another session of the shadow holds: the file locks \
                              against itself (dblink, or a second connection)."
            .into(),
        "42601" => "Postgres cannot read the statement from the marked place on.".into(),
        "25P02" => "An error before it ended the transaction; look at the first one.".into(),
        "22023" | "22P02" => "A value does not have the form that its type needs.".into(),
        "58P01" => "The server has no such file or module. What needs files of the server cannot be used on \
                    a managed database."
            .into(),
        "P0001" => "The migration itself raised this error.".into(),
        _ => return about.hint.map(str::to_owned),
    };
    Some(match about.hint {
        Some(hint) if !text.contains(hint) => format!("{text} (Postgres: {hint})"),
        _ => text,
    })
}

/// Where an earlier file of the same change failed, it may be that.
fn blocked(about: &Circumstances<'_>) -> String {
    about.blocked.map_or_else(String::new, |file| {
        format!(" If {file}, an earlier file of this change that failed, was to make it, mend that first.")
    })
}

fn missing(what: &str, about: &Circumstances<'_>) -> String {
    let mut text = format!("No migration before this one makes {what}.{}", blocked(about));
    if about.base_incomplete {
        text.push_str(
            " Part of the history could not be replayed, so it may exist in your database: give a schema dump as \
             `shadow.base_schema` (pg_dump --schema-only) to rehearse on top of it.",
        );
    } else {
        text.push_str(
            " If it was made in the dashboard or by hand, put that into a migration, or give a schema dump as \
             `shadow.base_schema`; else check the spelling and the search_path.",
        );
    }
    text
}

/// `CREATE TABLE IF NOT EXISTS` that was skipped because another table has the name.
fn hidden_table(about: &Circumstances<'_>) -> Option<String> {
    let Hidden { table, lacks, has } = about.hidden?;
    let lacks = match lacks.len() {
        0 => "the same columns, but what else it is may differ".to_owned(),
        _ => format!("the columns {}, and lacks {}", has.join(", "), lacks.join(", ")),
    };
    Some(format!(
        "CREATE TABLE IF NOT EXISTS `{table}` did nothing, because a table of that name exists already, with {lacks}. \
         Add what is missing with ALTER TABLE … ADD COLUMN, or choose another name."
    ))
}

/// The tables that CREATE TABLE IF NOT EXISTS of these statements passed over, as the notices say, with
/// the columns that it wanted.
pub(super) fn passed_over(statements: &[&str], notices: &[Notice]) -> Vec<(sql::ast::Name, Vec<String>)> {
    let named: Vec<String> = notices
        .iter()
        .filter(|notice| notice.code == "42P07")
        .filter_map(|notice| quoted(&notice.message))
        .collect();
    if named.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for statement in statements {
        for node in sql::parse(statement).unwrap_or_default() {
            let Some(sql::ast::NodeEnum::CreateStmt(create)) = node.node else { continue };
            let Some(range) = create
                .relation
                .as_ref()
                .filter(|range| create.if_not_exists && named.contains(&range.relname))
            else {
                continue;
            };
            let columns = create.table_elts.iter().filter_map(|element| match &element.node {
                Some(sql::ast::NodeEnum::ColumnDef(column)) => Some(column.colname.clone()),
                _ => None,
            });
            found.push((sql::ast::Name::of(range), columns.collect()));
        }
    }
    found
}

fn refused(message: &str, about: &Circumstances<'_>) -> String {
    let platform = ["auth", "storage", "realtime", "vault", "cron", "extension"];
    let text = format!("{} {message}", about.statement).to_lowercase();
    if about.supabase && platform.iter().any(|word| text.contains(word)) {
        "On Supabase this object belongs to the platform. The role `postgres`, as which migrations run, may \
         manage policies and create or drop triggers there, and nothing else; production would refuse this \
         too."
            .into()
    } else if about.supabase {
        "The role `postgres`, as which migrations run on Supabase, is no superuser; production would refuse \
         this too."
            .into()
    } else {
        "Migrations are rehearsed as a role that is no superuser. If yours run as superuser, this was not \
         verified; better grant the deploying role just what it needs."
            .into()
    }
}

/// The first name in double quotes of a message.
fn quoted(message: &str) -> Option<String> {
    let rest = message.split_once('"')?.1;
    Some(rest.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(statement: &str) -> Circumstances<'_> {
        Circumstances {
            statement,
            hint: None,
            supabase: true,
            base_incomplete: false,
            blocked: None,
            hidden: None,
        }
    }

    #[test]
    fn names_what_is_missing() {
        let text = help("42P01", "relation \"public.plans\" does not exist", &about("select 1")).unwrap();
        assert!(text.contains("`public.plans`") && text.contains("shadow.base_schema"), "{text}");
    }

    #[test]
    fn tells_a_hidden_table() {
        let notices =
            [Notice { code: "42P07".into(), message: "relation \"plans\" already exists, skipping".into() }];
        let statements =
            ["create table if not exists app.plans (id int, price int, primary key (id))", "select 1"];
        let found = passed_over(&statements, &notices);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].0.to_string().as_str(), found[0].1.join(",").as_str()),
            ("app.plans", "id,price")
        );
        let hidden = Hidden { table: "plans".into(), lacks: vec!["price".into()], has: vec!["id".into()] };
        let about = Circumstances { hidden: Some(&hidden), ..about("create index on plans (price)") };
        let text = help("42703", "column \"price\" does not exist", &about).unwrap();
        assert!(text.contains("IF NOT EXISTS `plans` did nothing") && text.contains("lacks price"), "{text}");
    }

    #[test]
    fn an_unknown_code_gives_the_hint() {
        assert_eq!(help("XX000", "boom", &about("select 1")), None);
    }
}
