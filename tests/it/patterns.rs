//! Every safe pattern runs on a real Postgres, up and down, with rows in the table.

use crate::support::{Database, Project};

const TABLES: &str = "
    CREATE ROLE authenticated;
    CREATE SCHEMA auth;
    CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT NULL::uuid $$;
    CREATE TABLE users (id bigint PRIMARY KEY);
    CREATE TABLE \"Orders\" (
        id bigint PRIMARY KEY, user_id bigint, status text NOT NULL DEFAULT 'new', total integer, note text
    );
    INSERT INTO users VALUES (1);
    INSERT INTO \"Orders\" SELECT n, 1, 'paid', n, 'x' FROM generate_series(1, 10) AS n;";

/// What a schema dump would show, in one text.
const SCHEMA: &str = "
    SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') FROM (
        SELECT format('%s.%s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
               a.attnotnull, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)) AS line
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL SELECT format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) || convalidated
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT format('%s %s', polname, pg_get_expr(polqual, polrelid)) FROM pg_policy
        UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT format('%s rls %s %s', relname, relrowsecurity, relforcerowsecurity)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace
    ) AS lines";

/// Takes a pattern up phase by phase and down again; each DOWN must restore what its UP found.
fn round_trip(arguments: &[&str], between: &[&str]) {
    let database = Database::create();
    database.execute(&TABLES.replace("CREATE ROLE authenticated;", ROLE));
    let project = Project::new();
    let mut command = vec!["--format", "json", "pattern"];
    command.extend(arguments);
    let document = project.run(&command).expect(0).json();
    let phases = document["phases"].as_array().unwrap();
    let mut seen = Vec::new();
    for phase in phases {
        seen.push(database.value(SCHEMA));
        run(&database, phase["up"].as_str().unwrap());
        for statement in between {
            database.execute(statement);
        }
    }
    for (phase, before) in phases.iter().zip(&seen).rev() {
        run(&database, phase["down"].as_str().unwrap());
        assert_eq!(&database.value(SCHEMA), before, "DOWN of {}", phase["name"]);
    }
    assert_eq!(
        database.value("SELECT string_agg(status, '' ORDER BY id) FROM \"Orders\" WHERE id < 3"),
        "paidpaid"
    );
}

/// Roles are the server's, and tests share one.
const ROLE: &str = "DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated') THEN CREATE ROLE authenticated; END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;";

/// One call a statement where one of them cannot run in a transaction, which a batch would be.
fn run(database: &Database, sql: &str) {
    if sql.contains("CONCURRENTLY") {
        sql.split_inclusive(";\n").for_each(|statement| database.execute(statement));
    } else {
        database.execute(sql);
    }
}

#[test]
fn add_column() {
    let table = "table=public.Orders";
    round_trip(
        &["add-column", table, "column=priority", "type=text", "default='medium'", "not_null=true"],
        &[],
    );
    round_trip(
        &["add-column", table, "column=token", "type=uuid", "default=gen_random_uuid()", "not_null=true"],
        &[],
    );
    round_trip(&["add-column", table, "column=kind", "type=text", "backfill=status", "comment=it's"], &[]);
}

#[test]
fn add_constraint() {
    let table = "table=Orders";
    round_trip(&["add-constraint", table, "kind=check", "check=total > 0"], &[]);
    round_trip(
        &[
            "add-constraint",
            table,
            "kind=foreign-key",
            "columns=user_id",
            "references=users",
            "on_delete=set null",
        ],
        &[],
    );
    round_trip(&["add-constraint", table, "kind=unique", "columns=total"], &[]);
    round_trip(&["add-constraint", table, "kind=not-null", "columns=note"], &[]);
}

#[test]
fn create_index() {
    round_trip(
        &["create-index", "table=Orders", "columns=status,lower(note) DESC", "where=total > 3", "include=id"],
        &[],
    );
}

/// Old code knows `status` only; it must be able to write at every point of the way but the end.
#[test]
fn rename_column_keeps_old_and_new_code_going() {
    let arguments = [
        "rename-column",
        "table=Orders",
        "from=status",
        "to=state",
        "type=text",
        "default='new'",
        "not_null=true",
    ];
    round_trip(&arguments, &["UPDATE \"Orders\" SET note = 'y'"]);

    let database = Database::create();
    database.execute(&TABLES.replace("CREATE ROLE authenticated;", ROLE));
    let mut command = vec!["--format", "json", "pattern"];
    command.extend(arguments);
    let document = Project::new().run(&command).expect(0).json();
    database.execute(document["phases"][0]["up"].as_str().unwrap());
    database.execute(
        "UPDATE \"Orders\" SET note = 'touched before the backfill' WHERE id = 1;
         INSERT INTO \"Orders\" (id, status) VALUES (11, 'old code');
         INSERT INTO \"Orders\" (id, state) VALUES (12, 'new code');
         INSERT INTO \"Orders\" (id) VALUES (13);
         UPDATE \"Orders\" SET status = 'old again' WHERE id = 12;
         UPDATE \"Orders\" SET state = 'new again' WHERE id = 11;",
    );
    assert_eq!(
        database
            .column("SELECT status || '/' || state FROM \"Orders\" WHERE id IN (1, 11, 12, 13) ORDER BY id"),
        ["paid/paid", "new again/new again", "old again/old again", "new/new"]
    );
}

#[test]
fn drop_column() {
    round_trip(&["drop-column", "table=Orders", "column=note", "type=text"], &[]);
}

#[test]
fn change_type() {
    round_trip(
        &["change-type", "table=Orders", "column=total", "from=integer", "to=bigint", "not_null=false"],
        &["UPDATE \"Orders\" SET note = 'y'", "UPDATE \"Orders\" SET total = total + 1"],
    );
    round_trip(
        &[
            "change-type",
            "table=Orders",
            "column=status",
            "from=text",
            "to=varchar(20)",
            "not_null=true",
            "default='new'",
        ],
        &["UPDATE \"Orders\" SET note = 'y'"],
    );
}

#[test]
fn rename_table() {
    round_trip(&["rename-table", "table=public.Orders", "to=purchases", "grant_to=authenticated"], &[]);
}

#[test]
fn enable_rls() {
    round_trip(&["enable-rls", "table=Orders", "using=(SELECT auth.uid()) IS NULL", "force=true"], &[]);
    round_trip(&["enable-rls", "table=Orders"], &[]);
}

#[test]
fn a_wrong_argument_is_named() {
    let project = Project::new();
    project.run(&["pattern", "create-index", "table=t"]).expect(2).says("`columns` is missing");
    project
        .run(&["pattern", "create-index", "table=t", "column=a"])
        .expect(2)
        .says("Its parameters are table, columns");
    project.run(&["pattern", "index"]).expect(2).says("The patterns are add-column");
    assert!(project.run(&["pattern"]).expect(0).stdout.contains("rename-table"));
}
