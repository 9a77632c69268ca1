CREATE SCHEMA IF NOT EXISTS {s};

-- Exactly what is applied now. A table of this shape that another tool left is adopted.
CREATE TABLE IF NOT EXISTS {s}.schema_migrations (
    version bigint PRIMARY KEY,
    description text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    applied_by text,
    execution_time_ms integer,
    checksum text,
    down_sql text,
    down_checksum text
);

-- The UP of each applied version as it ran: to tell a changed comment from a changed statement, and to
-- give back a file that is gone. A table of its own, so that the one above keeps the shape it promises.
CREATE TABLE IF NOT EXISTS {s}.applied_texts (
    version bigint PRIMARY KEY,
    up_sql text NOT NULL
);

-- Every attempt, one row an event, never changed.
CREATE TABLE IF NOT EXISTS {s}.migration_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version bigint NOT NULL,
    description text,
    direction text NOT NULL CHECK (direction IN ('up', 'down', 'repair', 'baseline')),
    -- started, batch-done, step-done, applied, rolled-back, failed, cancelled, partial,
    -- resolved (the answer to a COMMIT was lost, and the server told of it later); repaired; baselined
    outcome text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    attempt integer,
    -- Position within the file: first and last statement of the step, and how many there are.
    statement_from integer,
    statement_to integer,
    statements integer,
    sql text,
    sqlstate text,
    error text,
    line integer,
    reason text,
    -- Of a batch: the last key that it took in.
    batch_key text,
    actor text,
    run text,
    run_url text,
    commit_sha text,
    tool_version text NOT NULL
);
CREATE INDEX IF NOT EXISTS migration_runs_version ON {s}.migration_runs (version, id);

CREATE TABLE IF NOT EXISTS {s}.history_steps (
    step integer PRIMARY KEY,
    taken_at timestamptz NOT NULL DEFAULT now()
);

CREATE OR REPLACE FUNCTION {s}.refuse_change() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog AS $function$
BEGIN
    RAISE EXCEPTION 'migration_runs is append-only' USING HINT = 'Write a new row; `lockkeeper repair` does.';
END
$function$;
DROP TRIGGER IF EXISTS append_only ON {s}.migration_runs;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {s}.migration_runs
    FOR EACH ROW EXECUTE FUNCTION {s}.refuse_change();

-- Should the schema be exposed by an API: no grants.
REVOKE ALL ON {s}.schema_migrations, {s}.applied_texts, {s}.migration_runs, {s}.history_steps FROM PUBLIC;
REVOKE ALL ON FUNCTION {s}.refuse_change() FROM PUBLIC;
DO $do$
DECLARE
    api text;
BEGIN
    FOR api IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE format('REVOKE ALL ON {s}.schema_migrations, {s}.applied_texts, {s}.migration_runs, {s}.history_steps FROM %I', api);
        EXECUTE format('REVOKE ALL ON FUNCTION {s}.refuse_change() FROM %I', api);
    END LOOP;
END
$do$;
