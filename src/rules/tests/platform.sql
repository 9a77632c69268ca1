-- What the examples of rules may take for granted: a small likeness of a Supabase project.
do $$
declare name text;
begin
  foreach name in array array['anon', 'authenticated', 'service_role', 'authenticator', 'supabase_admin',
      'app_reader', 'app_owner'] loop
    if not exists (select from pg_roles where rolname = name) then
      execute format('create role %I nologin', name);
    end if;
  end loop;
end $$;
create schema if not exists app;
create schema if not exists auth;
create schema if not exists storage;
create schema if not exists extensions;
create schema if not exists realtime;
grant usage on schema public, auth, storage, extensions to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
create table auth.users (
  id uuid primary key, email text unique, phone text unique, created_at timestamptz default now(),
  raw_user_meta_data jsonb, raw_app_meta_data jsonb
);
create function auth.uid() returns uuid language sql stable as $$
  select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid
$$;
create function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb
$$;
create function auth.role() returns text language sql stable as $$
  select current_setting('request.jwt.claim.role', true)
$$;
create function auth.email() returns text language sql stable as $$ select auth.jwt() ->> 'email' $$;
create table storage.buckets (id text primary key, name text not null, public boolean default false);
create table storage.objects (
  id uuid primary key default gen_random_uuid(), bucket_id text references storage.buckets (id),
  name text, owner uuid, created_at timestamptz default now()
);
alter table storage.buckets enable row level security;
alter table storage.objects enable row level security;
create schema vault;
create function vault.create_secret(secret text, name text default null, description text default '') returns uuid
  language sql as 'select gen_random_uuid()';
create schema pgmq;
create function pgmq.create(name text) returns void language plpgsql as $$
  begin execute format('create table pgmq.%I (id bigint primary key)', 'q_' || lower(name)); end
$$;
create function pgmq.create_non_partitioned(name text) returns void language sql as 'select pgmq.create(name)';
create publication supabase_realtime;
-- Another name for the only access method that Postgres itself has.
create access method columnar type table handler heap_tableam_handler;
