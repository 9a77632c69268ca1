//! The room's own tests: every malformed input of the contract, and that nothing is lost.

use super::*;

fn folder(files: &[(&str, &str)]) -> Folder {
    let mut folder = Folder { dir: "m".into(), rollbacks_dir: "rollbacks".into(), ..Folder::default() };
    for (name, text) in files {
        let content = Content::Bytes(text.as_bytes().to_vec());
        match name.strip_prefix("rollbacks/") {
            Some(name) => folder.rollbacks.push(Entry { name: name.into(), content }),
            None => folder.entries.push(Entry { name: (*name).into(), content }),
        }
    }
    folder
}

fn load(files: &[(&str, &str)]) -> MigrationSet {
    MigrationSet::load(folder(files))
}

fn one(text: &str) -> Migration {
    let set = load(&[("1_a.sql", text)]);
    assert_eq!(set.problems, []);
    set.migrations.into_iter().next().unwrap()
}

fn problems(set: &MigrationSet) -> String {
    let line = |problem: &Problem| {
        let Place { file, line, column, .. } = &problem.place;
        let kind = if problem.unreadable { "!" } else { "" };
        format!("{file}:{line}:{column} {}{kind}: {}\n    {}", problem.rule, problem.what, problem.remedy)
    };
    set.all_problems().iter().map(line).collect::<Vec<_>>().join("\n")
}

fn statements(section: &Section) -> Vec<String> {
    section
        .cut
        .pieces
        .iter()
        .map(|piece| {
            let place = section.place(piece.body.clone());
            format!("{}:{} {}", place.line, place.column, &section.sql[piece.body.clone()])
        })
        .collect()
}

fn down(text: &str) -> (Form, Vec<String>) {
    let migration = one(text);
    assert_eq!(migration.problems, [], "{text}");
    let down = migration.down.unwrap();
    (down.form, statements(&down))
}

#[test]
fn reads_the_four_layouts() {
    let set = load(&[
        (
            "1_sections.sql",
            "-- UP MIGRATION\ncreate table a ();\n-- DOWN MIGRATION (ROLLBACK)\ndrop table a;\n",
        ),
        ("2_pair.up.sql", "create table b ();"),
        ("2_pair.down.sql", "drop table b;"),
        ("3_separate.sql", "create table c ();"),
        ("rollbacks/3_separate.sql", "drop table c;"),
        ("4_up_only.sql", "create table d ();"),
        ("5_dbmate.sql", "-- migrate:up transaction:false\nselect 1;\n-- migrate:down\nselect 2;"),
        ("6_no_up_marker.sql", "create table e ();\n-- down migration\ndrop table e;"),
        ("7_only_up_marker.sql", "-- up migration:\ncreate table e ();"),
        (
            "8_goose.sql",
            "-- +goose Up\n-- +goose NO TRANSACTION\n-- +goose StatementBegin\nselect 1;\n-- +goose StatementEnd\n\n\
             -- +goose Down\ndrop index concurrently i;",
        ),
        ("9_sql_migrate.sql", "-- +migrate Up notransaction\nselect 1;\n-- +migrate Down\nselect 2;"),
        ("example_x.sql", "nonsense"),
        ("_helper.sql", "nonsense"),
    ]);
    assert_eq!(problems(&set), "");
    let text: Vec<String> = set
        .migrations
        .iter()
        .map(|migration| {
            let down = migration.down.as_ref().map(|down| (down.file.path.as_str(), statements(down)));
            let off = [Direction::Up, Direction::Down].map(|way| migration.transaction_off_in(way));
            format!(
                "{} {:?} {:?} off={off:?} {down:?}",
                migration.path,
                migration.layout,
                statements(&migration.up)
            )
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    m/1_sections.sql Sections ["2:1 create table a ()"] off=[false, false] Some(("m/1_sections.sql", ["4:1 drop table a"]))
    m/2_pair.up.sql Pair ["1:1 create table b ()"] off=[false, false] Some(("m/2_pair.down.sql", ["1:1 drop table b"]))
    m/3_separate.sql SeparateRollback ["1:1 create table c ()"] off=[false, false] Some(("rollbacks/3_separate.sql", ["1:1 drop table c"]))
    m/4_up_only.sql UpOnly ["1:1 create table d ()"] off=[false, false] None
    m/5_dbmate.sql Sections ["2:1 select 1"] off=[true, false] Some(("m/5_dbmate.sql", ["4:1 select 2"]))
    m/6_no_up_marker.sql Sections ["1:1 create table e ()"] off=[false, false] Some(("m/6_no_up_marker.sql", ["3:1 drop table e"]))
    m/7_only_up_marker.sql Sections ["2:1 create table e ()"] off=[false, false] None
    m/8_goose.sql Sections ["4:1 select 1"] off=[true, true] Some(("m/8_goose.sql", ["8:1 drop index concurrently i"]))
    m/9_sql_migrate.sql Sections ["2:1 select 1"] off=[true, false] Some(("m/9_sql_migrate.sql", ["4:1 select 2"]))
    "#);
    assert_eq!(set.others, ["m/_helper.sql", "m/example_x.sql"]);
}

#[test]
fn reads_the_three_forms_of_down() {
    let up = "select 1;\n";
    let check = |text: &str, form: Form, expected: &[&str]| {
        assert_eq!(
            down(&format!("{up}{text}")),
            (form, expected.iter().map(|s| (*s).into()).collect()),
            "{text}"
        );
    };
    let marker = "-- DOWN MIGRATION (ROLLBACK)\n";
    let checks: &[(&str, Form, &[&str])] = &[
        ("drop table a;\n-- note\n", Form::Live, &["3:1 drop table a"]),
        (
            "/* drop table a;\n  drop table b; */",
            Form::BlockComment,
            &["3:4 drop table a", "4:3 drop table b"],
        ),
        ("\n-- a note\n/*\ndrop table a;\n*/\n", Form::BlockComment, &["6:1 drop table a"]),
        ("-- drop table a;\n--drop table b\n", Form::LineComments, &["3:4 drop table a", "4:3 drop table b"]),
        (
            "-- alter table a\r\n--   drop column b;\r\n",
            Form::LineComments,
            &["3:4 alter table a\r\n  drop column b"],
        ),
        (
            "-- Drop the index again, don't wait\n-- DROP INDEX i;\n-- then the table:\n-- DROP TABLE t;",
            Form::LineComments,
            &["4:4 DROP INDEX i", "6:4 DROP TABLE t"],
        ),
        (
            "-- create function f() returns int language plpgsql as $$ begin\n--   x := 1;\n--   if x then\n--   end if;\n-- end $$;",
            Form::LineComments,
            &[
                "3:4 create function f() returns int language plpgsql as $$ begin\n  x := 1;\n  if x then\n  end if;\nend $$",
            ],
        ),
        ("-- -- a note; inside\n-- drop table a;", Form::LineComments, &["4:4 drop table a"]),
        ("", Form::Live, &[]),
        ("-- There is nothing to undo\n", Form::Live, &[]),
        ("/* nothing to undo */", Form::Live, &[]),
        ("-- lockkeeper: irreversible rows are gone\n", Form::Live, &[]),
        ("-- -- lockkeeper: irreversible rows are gone\n", Form::Live, &[]),
        ("/* -- lockkeeper: irreversible rows are gone */\n", Form::Live, &[]),
        ("/*\n-- lockkeeper: ignore a b\ndrop table a\n*/", Form::BlockComment, &["5:1 drop table a"]),
        ("-- ALTER TABLE a DRP COLUMN b", Form::LineComments, &["3:4 ALTER TABLE a DRP COLUMN b"]),
    ];
    for (text, form, expected) in checks {
        check(&format!("{marker}{text}"), *form, expected);
    }
}

#[test]
fn a_marker_is_a_whole_comment_line_to_the_lexer() {
    for inside in [
        "do $$\n-- DOWN MIGRATION\n$$;",
        "select '\n-- DOWN MIGRATION\n';",
        "select E'\\'\n-- DOWN MIGRATION\n';",
        "/*\n-- DOWN MIGRATION\n/* */ */ select 1;",
        "select \"\n-- DOWN MIGRATION\n\";",
        "select 1; -- DOWN MIGRATION\nselect 2;",
        "select 1;\n-- the down migration is elsewhere\n",
        "select 1;\n/* DOWN MIGRATION */\n",
        "select 1;\n-- DOWN MIGRATIONS\n",
    ] {
        let migration = one(inside);
        assert!(migration.down.is_none(), "{inside}");
        assert_eq!(migration.up.sql, inside);
    }
    for marker in [
        "-- DOWN MIGRATION (ROLLBACK)",
        "--down   migration",
        "-- DownMigration",
        "\t-- Down Migration [undo]  ",
        "-- DOWN MIGRATION(rollback):",
        "-- ===== DOWN MIGRATION =====",
        "--migrate:down",
        "-- MIGRATE:DOWN transaction:false",
    ] {
        let migration = one(&format!("select 1;\r\n{marker}\r\nselect 2;\r\n"));
        assert_eq!(statements(migration.down.as_ref().unwrap()), ["3:1 select 2"], "{marker}");
        assert_eq!(migration.up.sql, "select 1;\r\n", "{marker}");
        assert_eq!(migration.problems, [], "{marker}");
    }
}

#[test]
fn every_malformed_file_is_told_with_its_line() {
    let set = load(&[
        (
            "01_two_up.sql",
            "-- UP MIGRATION\nselect 1;\n-- UP MIGRATION\nselect 2;\n-- DOWN MIGRATION\nselect 3;",
        ),
        ("02_two_down.sql", "select 1;\n-- DOWN MIGRATION\nselect 2;\n-- migrate:down\nselect 3;"),
        ("03_down_first.sql", "-- DOWN MIGRATION\nselect 2;\n-- UP MIGRATION\nselect 1;"),
        (
            "04_text_before.sql",
            "-- fine\nselect 0\n;\n-- UP MIGRATION\nselect 1;\n-- DOWN MIGRATION\nselect 2;",
        ),
        ("05_empty_up.sql", "-- head\n-- UP MIGRATION\n-- nothing\n-- DOWN MIGRATION\nselect 2;"),
        ("06_empty.sql", ""),
        ("07_comments.sql", "-- UP MIGRATION\n-- only\n/* comments */"),
        ("08_unclosed.sql", "insert into a values ('it);\n-- DOWN MIGRATION\ndelete from a;"),
        ("09_dollar.sql", "do $$ begin end;\n"),
        ("10_identifier.sql", "select 1;\nselect \"a;"),
        ("11_nested.sql", "select 1;\n-- DOWN MIGRATION\n/*\ndrop table a; -- path/*.ts\n*/\n"),
        ("12_inner.sql", "select 1;\n-- DOWN MIGRATION\n-- select 'a;\n"),
        ("13_two_blocks.sql", "select 1;\n-- DOWN MIGRATION\n/* drop table a; */\n/* drop table b; */"),
        ("14_nearly.sql", "select 1;\n-- DOWN MIGRATION - carefully\nselect 2;"),
        ("15_nearly.sql", "-- migrate:upp\nselect 1;"),
        ("16_begin_commit_only.sql", "BEGIN; COMMIT;"),
        ("17_both.sql", "select 1;\n-- DOWN MIGRATION\nselect 2;"),
        ("rollbacks/17_both.sql", "select 3;"),
        ("18_pair.up.sql", "select 1;\n-- DOWN MIGRATION\nselect 2;"),
        ("18_pair.down.sql", "-- UP MIGRATION\nselect 3;"),
    ]);
    insta::assert_snapshot!(problems(&set), @"
    m/01_two_up.sql:3:1 parse-error!: a second UP marker; the first is on line 1
        Keep one UP and one DOWN section in a file.
    m/02_two_down.sql:4:1 parse-error!: a second DOWN marker; the first is on line 2
        Keep one UP and one DOWN section in a file.
    m/03_down_first.sql:1:1 parse-error!: the DOWN marker stands before the UP marker of line 3
        Put the UP section first.
    m/03_down_first.sql:2:1 parse-error!: SQL stands before the UP marker
        Move it below the marker; only comments may stand above.
    m/04_text_before.sql:2:1 parse-error!: SQL stands before the UP marker
        Move it below the marker; only comments may stand above.
    m/05_empty_up.sql:2:1 parse-error!: the UP is empty: there is no statement in it
        Write the change, or remove the file.
    m/06_empty.sql:1:1 parse-error!: the UP is empty: there is no statement in it
        Write the change, or remove the file.
    m/07_comments.sql:1:1 parse-error!: the UP is empty: there is no statement in it
        Write the change, or remove the file.
    m/08_unclosed.sql:1:23 parse-error!: the string constant that begins here is never closed; it swallows the marker `-- DOWN MIGRATION` of line 2
        Close it.
    m/09_dollar.sql:1:4 parse-error!: the dollar-quoted string that begins here is never closed
        Close it.
    m/10_identifier.sql:2:8 parse-error!: the quoted identifier that begins here is never closed
        Close it.
    m/11_nested.sql:3:1 parse-error!: the block comment (they nest in Postgres) that begins here is never closed: the `/*` at 4:22 opens a second one inside it
        Close it.
    m/12_inner.sql:3:11 parse-error!: the string constant that begins here is never closed
        Close it.
    m/13_two_blocks.sql:4:1 parse-error!: a second block comment in a DOWN section that is nothing but comments: which is the DOWN?
        Keep the SQL in one `/* … */`, and put remarks into it behind `--`.
    m/14_nearly.sql:2:1 parse-error!: `-- DOWN MIGRATION - carefully` looks like a marker and is none
        Write `-- UP MIGRATION` or `-- DOWN MIGRATION (ROLLBACK)` alone on the line; if it is prose, word it differently.
    m/15_nearly.sql:1:1 parse-error!: `-- migrate:upp` looks like a marker and is none
        Write `-- UP MIGRATION` or `-- DOWN MIGRATION (ROLLBACK)` alone on the line; if it is prose, word it differently.
    m/16_begin_commit_only.sql:1:1 parse-error!: the UP is empty: there is no statement in it
        Write the change, or remove the file.
    m/17_both.sql:2:1 parse-error!: a DOWN section, and `rollbacks/17_both.sql` is its DOWN too
        Keep one of them.
    m/18_pair.down.sql:1:1 parse-error!: UP SQL in a file that is the DOWN of another
        Keep only the DOWN here.
    m/18_pair.up.sql:2:1 parse-error!: a DOWN section, and `m/18_pair.down.sql` is its DOWN too
        Keep one of them.
    ");
    assert_eq!(set.migrations.len(), 18, "a malformed file is still there");
}

#[test]
fn what_another_runner_would_run_is_told_with_its_line() {
    let set = load(&[
        ("1_a.sql", "create table a ();\nCOMMIT;\nbegin isolation level serializable;\nselect 1;\nEND;"),
        ("2_a.sql", "select 1;\n-- DOWN MIGRATION\nselect 2;\nrollback;\nprepare transaction 'x';"),
        ("3_a.sql", "\\restrict abc\nselect 1;\n\\i other.sql\n"),
        ("4_a.sql", "copy a (b) from stdin;\n1\n2\n\\.\nselect 1;"),
        ("5_a.sql", "COPY a FROM STDIN;"),
        ("6_a.sql", "-- lockkeeper: transaction off\nbegin;\nbegin;\ncommit;\ncommit;\nbegin;"),
        ("7_fine.sql", "-- lockkeeper: transaction off\nbegin;\nselect 1;\ncommit;\nvacuum a;"),
        (
            "8_fine.sql",
            "savepoint a; rollback to a; release a; do $$ begin commit; end $$;\nprepare x as select 1; \
             create function f() returns int begin atomic select 1; end;\ncopy a to '/tmp/x'; copy a from '/tmp/x';",
        ),
    ]);
    insta::assert_snapshot!(problems(&set), @r"
    m/1_a.sql:2:1 transaction-control: `COMMIT` would end or nest the transaction that the file runs in
        Remove it: a file is one transaction already. Where a part must commit on its own, say `-- lockkeeper: transaction off` and keep each BEGIN with its COMMIT.
    m/1_a.sql:3:1 transaction-control: `BEGIN` would end or nest the transaction that the file runs in
        Remove it: a file is one transaction already. Where a part must commit on its own, say `-- lockkeeper: transaction off` and keep each BEGIN with its COMMIT.
    m/1_a.sql:5:1 transaction-control: `END` would end or nest the transaction that the file runs in
        Remove it: a file is one transaction already. Where a part must commit on its own, say `-- lockkeeper: transaction off` and keep each BEGIN with its COMMIT.
    m/2_a.sql:4:1 transaction-control: `ROLLBACK` would end or nest the transaction that the file runs in
        Remove it: a file is one transaction already. Where a part must commit on its own, say `-- lockkeeper: transaction off` and keep each BEGIN with its COMMIT.
    m/2_a.sql:5:1 transaction-control: `PREPARE TRANSACTION` would end or nest the transaction that the file runs in
        Remove it: a file is one transaction already. Where a part must commit on its own, say `-- lockkeeper: transaction off` and keep each BEGIN with its COMMIT.
    m/3_a.sql:1:1 psql-only-syntax: `\restrict` is a command of psql; no server understands it
        Delete the `\restrict` and `\unrestrict` lines that pg_dump wrote.
    m/3_a.sql:3:1 psql-only-syntax: `\i` is a command of psql; no server understands it
        Put the SQL of that file here.
    m/4_a.sql:1:1 psql-only-syntax: `COPY … FROM STDIN` waits for data that only psql would send
        Write the rows as INSERT statements.
    m/5_a.sql:1:1 psql-only-syntax: `COPY … FROM STDIN` waits for data that only psql would send
        Write the rows as INSERT statements.
    m/6_a.sql:3:1 transaction-control: `BEGIN` inside a transaction that is still open
        Commit the first one before it.
    m/6_a.sql:5:1 transaction-control: `COMMIT` with no transaction open
        Remove it, or put the BEGIN that it belongs to before it.
    m/6_a.sql:6:1 unclosed-transaction: the transaction that begins here is never committed
        Add its COMMIT.
    ");
}

#[test]
fn the_wrapper_is_dropped() {
    for text in [
        "BEGIN;\nselect 1;\nCOMMIT;\n",
        "-- head\nbegin work;\nselect 1;\nend transaction;",
        "start transaction;\nselect 1;\ncommit",
    ] {
        let migration = one(text);
        assert_eq!(migration.problems, []);
        assert!(migration.wrapper_dropped);
        let all = statements(&migration.up);
        assert!(matches!(&all[..], [only] if only.ends_with("select 1")), "{all:?}");
        assert_eq!(migration.up.sql.len(), text.len());
        assert_eq!(migration.up.checksum, Checksum::of(text), "the file's own text is what counts");
    }
    let both = one("begin;\nselect 1;\ncommit;\n-- DOWN MIGRATION\nbegin;\nselect 2;\ncommit;\n");
    assert_eq!(both.problems, []);
    assert_eq!(statements(&both.down.unwrap()), ["6:1 select 2"]);
    let kept = one("-- lockkeeper: transaction off\nbegin;\nselect 1;\ncommit;");
    assert!(!kept.wrapper_dropped);
    assert_eq!(kept.up.cut.pieces.len(), 3);
}

#[test]
fn names_and_versions_that_cannot_be_are_told() {
    let mut folder = folder(&[
        ("01_a.sql", "select 1"),
        ("1_b.sql", "select 1"),
        ("1_c.up.sql", "select 1"),
        ("0_zero.sql", "select 1"),
        ("9999999999999999999_big.sql", "select 1"),
        ("2024-01-01_dashes.sql", "select 1"),
        ("5.sql", "select 1"),
        ("6_a.SQL", "select 1"),
        ("7_lone.down.sql", "select 1"),
        ("8_whole.sql", "select 1"),
        ("8_whole.down.sql", "select 1"),
        ("rollbacks/8_other.sql", "select 1"),
        ("rollbacks/9_lone.sql", "select 1"),
        ("10_nul.sql", "select 1;\nselect '\0'"),
        ("README.md", "# read me"),
    ]);
    let mut entry = |name: &str, content| folder.entries.push(Entry { name: name.into(), content });
    entry("11_latin1.sql", Content::Bytes(b"select 1;\n-- caf\xe9".to_vec()));
    entry("12_utf16.sql", Content::Bytes(b"\xff\xfes\0".to_vec()));
    entry("13_folder.sql", Content::Folder);
    entry("14_prisma", Content::Folder);
    let (what, remedy) = ("`15_x.sql` is a link to nothing".into(), "Remove it.".into());
    entry("15_x.sql", Content::Unreadable { what, remedy });
    let set = MigrationSet::load(folder);
    insta::assert_snapshot!(problems(&set), @"
    m/0_zero.sql:1:1 bad-migration-filename: `0_zero.sql` is no migration: its version is 0; versions begin at 1
        Name it `<version>_<slug>.sql`, such as 20260102030405_add_orders.sql; if it is none, begin its name with `_` or `example_`.
    m/10_nul.sql:2:9 unreadable-file!: the file holds a NUL byte, which no Postgres text may
        Remove it; is this a binary file?
    m/11_latin1.sql:2:7 unreadable-file!: the file is not UTF-8: byte 0xe9
        Save it as UTF-8.
    m/12_utf16.sql:1:1 unreadable-file!: the file is UTF-16, not UTF-8
        Save it as UTF-8 (PowerShell's `>` writes UTF-16).
    m/13_folder.sql:1:1 unreadable-file!: `13_folder.sql` is a folder named like a migration
        Rename or remove it.
    m/15_x.sql:1:1 unreadable-file!: `15_x.sql` is a link to nothing
        Remove it.
    m/1_c.up.sql:1:1 duplicate-version: version 1 is taken by 3 files: `m/01_a.sql`, `m/1_b.sql`, `m/1_c.up.sql`
        Give each its own version; the one that is not applied anywhere yet is the one to rename.
    m/2024-01-01_dashes.sql:1:1 bad-migration-filename: `2024-01-01_dashes.sql` is no migration: the digits are not followed by `_` and a name
        Name it `<version>_<slug>.sql`, such as 20260102030405_add_orders.sql; if it is none, begin its name with `_` or `example_`.
    m/5.sql:1:1 bad-migration-filename: `5.sql` is no migration: the digits are not followed by `_` and a name
        Name it `<version>_<slug>.sql`, such as 20260102030405_add_orders.sql; if it is none, begin its name with `_` or `example_`.
    m/6_a.SQL:1:1 bad-migration-filename: `6_a.SQL` is no migration: it begins like a migration but does not end in `.sql`
        Name it `<version>_<slug>.sql`, such as 20260102030405_add_orders.sql; if it is none, begin its name with `_` or `example_`.
    m/7_lone.down.sql:1:1 bad-migration-filename: this DOWN has no `7_lone.up.sql` beside it
        Give both halves the same version and name, ending in `.up.sql` and `.down.sql`.
    m/8_whole.down.sql:1:1 bad-migration-filename: this DOWN has no `8_whole.up.sql` beside it; version 8 is `m/8_whole.sql`
        Give both halves the same version and name, ending in `.up.sql` and `.down.sql`.
    m/9999999999999999999_big.sql:1:1 bad-migration-filename: `9999999999999999999_big.sql` is no migration: its version has 19 digits; 18 are the most
        Name it `<version>_<slug>.sql`, such as 20260102030405_add_orders.sql; if it is none, begin its name with `_` or `example_`.
    rollbacks/8_other.sql:1:1 bad-migration-filename: this rollback belongs to no migration: there is no file of the same name; version 8 is `m/8_whole.sql`
        Name it exactly as its migration, or remove it from rollbacks.
    rollbacks/9_lone.sql:1:1 bad-migration-filename: this rollback belongs to no migration: there is no file of the same name
        Name it exactly as its migration, or remove it from rollbacks.
    ");
    assert_eq!(set.others, ["m/14_prisma", "m/README.md"]);
}

#[test]
fn a_live_down_where_the_supabase_cli_runs_the_folder_is_told() {
    let files = &[
        ("1_live.sql", "select 1;\n-- DOWN MIGRATION\nselect 2;"),
        ("2_block.sql", "select 1;\n-- DOWN MIGRATION\n/* select 2; */"),
        ("3_lines.sql", "select 1;\n-- DOWN MIGRATION\n-- select 2;"),
        ("4_pair.up.sql", "select 1;"),
        ("4_pair.down.sql", "select 2;"),
        ("5_separate.sql", "select 1;"),
        ("rollbacks/5_separate.sql", "select 2;"),
        ("6_none.sql", "select 1;\n-- DOWN MIGRATION\n-- lockkeeper: irreversible gone"),
    ];
    assert_eq!(problems(&load(files)), "");
    let set = MigrationSet::load(Folder { supabase_runs: true, ..folder(files) });
    insta::assert_snapshot!(problems(&set), @r#"
    m/1_live.sql:3:1 supabase-cli-runs-down: the Supabase CLI would run this DOWN right after the UP, and record the migration as applied
        Put the DOWN into one `/* … */`, or `-- ` before each of its lines; or set `migrations.only_applier = "lockkeeper"` if nothing else runs these files.
    m/4_pair.down.sql:1:1 supabase-cli-runs-down: the Supabase CLI would run this `.down.sql` as a migration, and undo the one it belongs to
        Move the DOWN into the `.sql` file as a comment (`lockkeeper create` writes that form), or into supabase/rollbacks; or set `migrations.only_applier = "lockkeeper"` if nothing else runs these files.
    "#);
}

#[test]
fn directives_know_their_statement_and_section() {
    let migration = one("-- lockkeeper: ignore-file a-b because\n-- lockkeeper: transaction off\n\
        -- UP MIGRATION\n-- lockkeeper: ignore c-d why not\nselect 1;\n\
        /* lockkeeper: lock-timeout 2s */ select 2 -- lockkeeper: ignore e why\n, 3;\n\
        -- lockkeeper: ignore-file late because\n-- lockkeeper: irreversible late\n\
        -- lockkeeper: backfill table=t key=id\nupdate t set a = 1;\n\
        -- lockkeeper: backfill table=t key=id\nselect 4;\n-- lockkeeper: nonsense\n\
        -- DOWN MIGRATION\n-- select 1;\n-- lockkeeper: ignore g line\n-- -- lockkeeper: ignore h line\n-- select 2;\n\
        -- lockkeeper: irreversible no way back\n");
    let text: Vec<String> = migration
        .directives
        .iter()
        .map(|directive| {
            let Directive { kind, place, section, statement, head } = directive;
            format!("{}:{} {section:?} {statement:?} {head} {kind:?}", place.line, place.column)
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    1:4 Up Some(1) true IgnoreFile { rules: ["a-b"], reason: "because", squawk: false }
    2:4 Up Some(1) true TransactionOff
    4:4 Up Some(1) false Ignore { rules: ["c-d"], reason: "why not", squawk: false }
    6:4 Up Some(2) false LockTimeout(2s)
    6:47 Up Some(2) false Ignore { rules: ["e"], reason: "why", squawk: false }
    8:4 Up Some(3) false Unknown { text: "ignore-file late", why: "it belongs at the head of the file, above the first statement" }
    9:4 Up Some(3) false Unknown { text: "irreversible", why: "it belongs in the DOWN section, or at the head of the file" }
    10:4 Up Some(3) false Backfill(Backfill { table: "t", key: "id", batch: 5000, pause: 50ms })
    12:4 Up Some(4) false Unknown { text: "backfill", why: "it belongs directly above an UPDATE or DELETE" }
    14:4 Up None false Unknown { text: "nonsense", why: "there is no directive `nonsense`; known are ignore, ignore-file, transaction, lock-timeout, statement-timeout, irreversible, backfill" }
    17:4 Down Some(2) false Ignore { rules: ["g"], reason: "line", squawk: false }
    18:7 Down Some(2) false Ignore { rules: ["h"], reason: "line", squawk: false }
    20:4 Down None false Irreversible { reason: "no way back" }
    "#);
    assert_eq!(migration.irreversible.as_deref(), Some("no way back"));
    assert!(migration.transaction_off_in(Direction::Down));
    assert_eq!(migration.lock_timeout(Direction::Up), Some(std::time::Duration::from_secs(2)));
    assert_eq!(migration.lock_timeout(Direction::Down), None);
}

#[test]
fn the_description_is_the_header_or_the_slug() {
    let description = |text: &str| {
        let set = load(&[("1_add_new-orders.sql", text)]);
        set.migrations[0].description.clone()
    };
    assert_eq!(description("select 1"), "add new orders");
    assert_eq!(description("-- Migration: 1\n-- Description: Add: orders \r\nselect 1"), "Add: orders");
    assert_eq!(description("/*\n * description:  x\n */ select 1"), "x");
    assert_eq!(description("/* Description: x */\n-- UP MIGRATION\nselect 1"), "x");
    assert_eq!(description("-- Description:\nselect 1; -- Description: y"), "add new orders");
}

#[test]
fn checksums_of_sections_are_of_what_stands_between_the_markers() {
    let plain = one("\u{feff}create table a ();  \r\n");
    assert_eq!(plain.up.checksum, Checksum::of("create table a ();"));
    let sections =
        one("-- head\n-- UP MIGRATION\ncreate table a ();\n\n-- DOWN MIGRATION\n-- drop table a;\n");
    assert_eq!(sections.up.checksum, plain.up.checksum);
    let block = one("create table a ();\n-- DOWN MIGRATION\n/*drop table a;*/");
    assert_eq!(sections.down.unwrap().checksum, block.down.unwrap().checksum);
}

/// The examples in our own folder are migrations in everything but their names.
#[test]
fn the_examples_are_well_formed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if !name.starts_with("example_") {
            continue;
        }
        seen += 1;
        let text = std::fs::read_to_string(entry.path()).unwrap();
        assert_eq!(load(&[(&name, &text)]).migrations.len(), 0, "{name} would be applied");
        let migration = one(&text);
        assert_eq!(migration.problems, [], "{name}");
        assert!(migration.has_down(), "{name}");
        assert_ne!(migration.description, "a", "{name} has no description");
        for section in std::iter::once(&migration.up).chain(&migration.down) {
            for piece in &section.cut.pieces {
                let parsed = crate::sql::parse(&section.sql[piece.body.clone()]);
                assert!(parsed.is_ok(), "{name}: {parsed:?}");
            }
        }
        for directive in migration.directives.iter() {
            assert!(!matches!(directive.kind, DirectiveKind::Unknown { .. }), "{name}: {directive:?}");
        }
    }
    assert!(seen >= 8, "{seen}");
}

/// A small generator, so that a failure comes back with the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }
}

#[test]
fn whatever_the_text_nothing_panics_and_nothing_is_invented() {
    const SCRAPS: &[&str] = &[
        "-- UP MIGRATION\n",
        "-- DOWN MIGRATION (ROLLBACK)\n",
        "-- migrate:up transaction:false\n",
        "-- migrate:down\n",
        "-- lockkeeper: ignore a, b why\n",
        "-- lockkeeper: backfill table=t key=\n",
        "/* lockkeeper: ",
        "-- lockkeeper:",
        "-- squawk-ignore",
        "-- Description: é\n",
        "-- drop table a;\n",
        "-- ",
        "--",
        "\n",
        "\r\n",
        "/*",
        "*/",
        "'",
        "\"",
        "$$",
        "$a$",
        ";",
        "(",
        ")",
        "\\",
        "BEGIN;",
        "COMMIT;",
        "copy t from stdin;\n",
        "\\.\n",
        "select 1",
        "create function f() begin atomic ",
        "end",
        "é",
        "\u{feff}",
        "E'",
        " ",
        "\t",
    ];
    let mut random = Random(7);
    for _ in 0..3000 {
        let mut text = String::new();
        for _ in 0..random.below(24) {
            text.push_str(SCRAPS[random.below(SCRAPS.len())]);
        }
        let set = load(&[("1_a.sql", &text), ("2_b.down.sql", &text), ("2_b.up.sql", "select 1")]);
        assert_eq!(set.migrations.len(), 2, "{text:?}");
        for migration in &set.migrations {
            for section in std::iter::once(&migration.up).chain(&migration.down) {
                let file = &section.file.text;
                match section.form {
                    Form::Live | Form::BlockComment if !migration.wrapper_dropped => {
                        assert!(file.contains(&section.sql), "{text:?}");
                    }
                    _ => {}
                }
                for piece in &section.cut.pieces {
                    let place = section.place(piece.body.clone());
                    assert!(place.line >= 1 && place.column >= 1, "{text:?}");
                    // The first token of each piece is where the place says, whatever the form.
                    let at = section.file_offset(piece.body.start);
                    let first = section.sql[piece.body.start..].chars().next();
                    assert_eq!(file[at..].chars().next(), first, "{text:?}");
                }
            }
        }
    }
}

#[test]
fn a_backfill_that_is_not_understood_is_refused() {
    let set = load(&[(
        "1_a.sql",
        "-- lockkeeper: backfill table=t batch=lots\nupdate t set a = 1 where a is null;",
    )]);
    let told = problems(&set);
    assert!(
        told.starts_with("m/1_a.sql:1:4 unknown-directive: the backfill directive is not understood"),
        "{told}"
    );
    assert_eq!(problems(&load(&[("1_a.sql", "-- lockkeeper: lock-timeout soon\nselect 1;")])), "");
}
