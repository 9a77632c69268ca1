//! The Supabase CLI's own history: read, adopted, and kept in step.
//!
//! Its table has a row for each applied version and nothing else, so a rollback deletes the row, as
//! `supabase migration repair --status reverted` does. Columns beyond `version`, `statements` and
//! `name` are not ours to rely on.

use super::connection::{Target, maybe};
use crate::{
    config::SupabaseHistory,
    error::Error,
    migration::{Form, Migration, MigrationSet, Version},
    sql::literal,
};

/// Who applied what we only read about there.
pub(super) const APPLIER: &str = "supabase";

/// A row of the CLI's history with its texts.
pub(super) struct ForeignRow {
    pub(super) version: Version,
    pub(super) name: String,
    /// The statements as one text; `None` in rows that are older than that column.
    pub(super) text: Option<String>,
}

impl ForeignRow {
    pub(super) fn description(&self) -> String {
        self.name.replace('_', " ")
    }
}

impl Target<'_> {
    /// Every version that the CLI has applied.
    pub(crate) fn foreign_versions(&mut self) -> Result<Vec<Version>, Error> {
        Ok(self.foreign_texts(&[])?.into_iter().map(|row| row.version).collect())
    }

    /// The rows of the given versions; of all, when none is given.
    pub(super) fn foreign_texts(&mut self, versions: &[Version]) -> Result<Vec<ForeignRow>, Error> {
        let rows = self.rows(
            "SELECT m.version, pg_catalog.to_jsonb(m) ->> 'name' AS name, \
                    (SELECT pg_catalog.string_agg(s.statement, E';\\n' ORDER BY s.n) \
                     FROM pg_catalog.jsonb_array_elements_text( \
                         CASE pg_catalog.jsonb_typeof(pg_catalog.to_jsonb(m) -> 'statements') \
                         WHEN 'array' THEN pg_catalog.to_jsonb(m) -> 'statements' ELSE '[]' END) \
                         WITH ORDINALITY AS s (statement, n)) AS text \
             FROM supabase_migrations.schema_migrations m ORDER BY m.version",
        )?;
        Ok(rows
            .rows
            .iter()
            .filter_map(|row| {
                let version = Version(rows.get(row, "version").parse().ok()?);
                let text = Some(rows.get(row, "text").to_owned()).filter(|text| !text.is_empty());
                Some(ForeignRow { version, name: rows.get(row, "name").to_owned(), text })
            })
            .filter(|row| versions.is_empty() || versions.contains(&row.version))
            .collect())
    }

    /// The row of our history for one that the CLI applied. Where the texts agree, or the CLI kept
    /// none, the file's checksum is recorded; else the CLI's text, so that `status` says `modified`.
    pub(super) fn adopted_row(&self, set: &MigrationSet, row: &ForeignRow) -> String {
        let file = set.migrations.iter().find(|file| file.version == row.version);
        let same = |text: &str| {
            file.is_some_and(|file| {
                crate::sql::tokens_equal(&terminated(text), &terminated(&file.up.sql))
                    || crate::sql::tokens_equal(&terminated(text), &terminated(&file.up.file.text))
            })
        };
        let (checksum, up) = match (&row.text, file) {
            (Some(text), Some(file)) if !same(text) => {
                log::warn!("{}: what the Supabase CLI applied differs from {}", row.version, file.path);
                (Some(format!("supabase:{}", row.version)), Some(text.as_str()))
            }
            (text, None) => (None, text.as_deref()),
            (_, Some(file)) => (Some(file.up.checksum.0.clone()), Some(file.up.sql.as_str())),
        };
        let down = file.and_then(|file| file.down.as_ref());
        format!(
            "INSERT INTO {} (version, description, applied_by, checksum, down_sql, down_checksum) \
             VALUES ({}, {}, {}, {}, {}, {}) ON CONFLICT (version) DO NOTHING;{}",
            self.table("schema_migrations"),
            row.version,
            literal(&file.map_or_else(|| row.description(), |file| file.description.clone())),
            literal(APPLIER),
            maybe(checksum.as_deref()),
            maybe(down.map(|down| down.sql.as_str())),
            maybe(down.map(|down| down.checksum.0.as_str())),
            up.map(|text| self.text_row(row.version, text)).unwrap_or_default(),
        )
    }

    /// Keeps the CLI's history in step, where that is set: the statements as the CLI would have stored
    /// them, so that `supabase migration fetch` makes the file again, and DOWN where the platform's own
    /// migrations API keeps rollbacks.
    pub(super) fn mirror_up(&self, file: &Migration) -> String {
        if self.settings.supabase != SupabaseHistory::Mirror {
            return String::new();
        }
        let rollback = match &file.down {
            Some(down) => array(&pieces(&down.sql, false)),
            None => "NULL".to_owned(),
        };
        format!(
            "INSERT INTO supabase_migrations.schema_migrations (version, name, statements, rollback) \
             VALUES ({}, {}, {}, {rollback}) ON CONFLICT (version) DO NOTHING;",
            literal(&file.version_text),
            literal(&file.slug),
            array(&stored(file)),
        )
    }

    pub(super) fn mirror_down(&self, version: Version) -> String {
        if self.settings.supabase != SupabaseHistory::Mirror || !self.facts.supabase_history {
            return String::new();
        }
        // The text may be padded (`0015`): compared as a number where it is one.
        format!(
            "DELETE FROM supabase_migrations.schema_migrations \
             WHERE pg_catalog.ltrim(version, '0') = '{version}';"
        )
    }
}

/// Makes the CLI's table, as the CLI does, with the column that the platform adds for rollbacks.
pub(super) const CREATE: &str = "CREATE SCHEMA IF NOT EXISTS supabase_migrations;
CREATE TABLE IF NOT EXISTS supabase_migrations.schema_migrations (version text NOT NULL PRIMARY KEY);
ALTER TABLE supabase_migrations.schema_migrations ADD COLUMN IF NOT EXISTS statements text[];
ALTER TABLE supabase_migrations.schema_migrations ADD COLUMN IF NOT EXISTS name text;
ALTER TABLE supabase_migrations.schema_migrations ADD COLUMN IF NOT EXISTS rollback text[];
";

/// What the CLI would store of a file. A DOWN in comments is nothing to it but a comment at the end;
/// one that is live it would have run, so there the UP alone is kept.
fn stored(file: &Migration) -> Vec<&str> {
    let commented = file.down.as_ref().is_some_and(|down| down.form != Form::Live);
    match commented && file.down.as_ref().is_some_and(|down| down.file.path == file.up.file.path) {
        true => pieces(&file.up.file.text, true),
        false => pieces(&file.up.sql, true),
    }
}

/// The statements of a text; with comments, each with those before it, and those at the end as one.
fn pieces(text: &str, comments: bool) -> Vec<&str> {
    let cut = crate::sql::cut(text);
    let mut found: Vec<&str> = cut
        .statements()
        .map(|piece| {
            let from = if comments { piece.start } else { piece.body.start };
            text[from..piece.body.end].trim()
        })
        .collect();
    let rest = text[cut.pieces.last().map_or(0, |piece| piece.end)..].trim();
    if comments && !rest.is_empty() {
        found.push(rest);
    }
    found
}

fn array(texts: &[&str]) -> String {
    let all: Vec<String> = texts.iter().map(|text| literal(text)).collect();
    format!("ARRAY[{}]::text[]", all.join(", "))
}

/// Statements of one text end with a semicolon, of the other perhaps not.
fn terminated(text: &str) -> String {
    let cut = crate::sql::cut(text);
    cut.statements().map(|piece| format!("{};\n", &text[piece.body.clone()])).collect()
}
