-- plain.sql: an empty cluster as a team without Supabase knows it, with one difference: the role postgres, as which
-- migrations run, is not the superuser. Run once, as the superuser that initdb made.
create role postgres login createdb createrole replication bypassrls;
grant pg_monitor, pg_read_all_data, pg_write_all_data, pg_signal_backend to postgres with admin option;
alter database postgres owner to postgres;
grant set on parameter session_replication_role, log_min_messages, log_statement, log_min_duration_statement, track_io_timing to postgres;
-- Before PostgreSQL 16 CREATEROLE may grant every role that is not superuser: these would give it the files of this machine.
update pg_authid set rolsuper = true where rolname in ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files');
