-- shadow-prelude.sql
-- Turns an empty PostgreSQL 15+ cluster into something that a Supabase project's migrations take for a Supabase database.
--
-- How to run it: initdb -U supabase_admin (the bootstrap superuser must NOT be called postgres, because postgres has to be
-- an ordinary role), then this file once, as supabase_admin, in the database "postgres".
-- Migrations then run as the role postgres: connect as supabase_admin and SET SESSION AUTHORIZATION postgres (with
-- search_path = "$user", public, extensions), or log in as postgres.
--
-- Written from the observable catalog of the platform (roles, owners, grants, columns); it is not a copy of its scripts.
-- Statements are idempotent where a cluster could already hold the object (roles); everything else expects a fresh database.
--
-- Settings read (SET them before, all optional):
--   shadow.expose_public = on | off   default privileges of new objects in public for anon/authenticated/service_role
--                                     (off is what the platform does for new projects since 2026-05-30)

set client_min_messages = warning;
set check_function_bodies = off;

-------------------------------------------------------------------------------------------------------------------- roles
do $$
declare
  r record;
begin
  if not (select rolsuper from pg_roles where rolname = current_user) or current_user = 'postgres' then
    raise exception 'run this as a superuser other than postgres (initdb -U supabase_admin)';
  end if;
  for r in
    select * from (values
      ('supabase_admin',             'superuser login createdb createrole replication bypassrls'),
      ('postgres',                   'login createdb createrole replication bypassrls'),
      ('anon',                       'nologin'),
      ('authenticated',              'nologin'),
      ('service_role',               'nologin bypassrls'),
      ('authenticator',              'login noinherit'),
      ('dashboard_user',             'nologin createdb createrole replication'),
      ('pgbouncer',                  'login'),
      ('supabase_auth_admin',        'login noinherit createrole'),
      ('supabase_storage_admin',     'login noinherit createrole'),
      ('supabase_realtime_admin',    'login noinherit createrole replication'),
      ('supabase_functions_admin',   'login noinherit createrole'),
      ('supabase_replication_admin', 'login replication'),
      ('supabase_etl_admin',         'login replication'),
      ('supabase_read_only_user',    'login bypassrls'),
      ('supabase_privileged_role',   'nologin'),
      ('pgsodium_keyiduser',         'nologin'),
      ('pgsodium_keyholder',         'nologin'),
      ('pgsodium_keymaker',          'nologin'),
      ('pgtle_admin',                'nologin')
    ) v(name, attrs)
  loop
    if not exists (select from pg_roles where rolname = r.name) then
      execute format('create role %I %s', r.name, r.attrs);
    end if;
  end loop;
end
$$;

grant anon, authenticated, service_role to authenticator;
grant authenticator to supabase_storage_admin;
grant anon, authenticated, service_role to supabase_realtime_admin;
grant pgsodium_keyiduser to pgsodium_keyholder, pgsodium_keymaker;
grant pgsodium_keyholder to pgsodium_keymaker, service_role;
grant pg_read_all_data to supabase_read_only_user, supabase_etl_admin;
grant anon, authenticated, service_role, authenticator to postgres with admin option;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres with admin option;
grant pgtle_admin, supabase_privileged_role to postgres;
grant pgsodium_keyiduser, pgsodium_keyholder, pgsodium_keymaker to postgres with admin option;
do $$
begin
  if current_setting('server_version_num')::int >= 160000 then
    grant pg_create_subscription to postgres;
  end if;
end
$$;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role postgres set search_path = "$user", public, extensions;
alter role supabase_auth_admin set search_path = auth;
alter role supabase_storage_admin set search_path = storage;
alter role supabase_realtime_admin set search_path = realtime;

-- What the platform lets postgres SET although only a superuser may (PostgreSQL 15+ can express it).
do $$
declare
  g text;
begin
  foreach g in array array['session_replication_role', 'log_min_messages', 'log_min_duration_statement', 'log_lock_waits',
                           'log_statement', 'log_replication_commands', 'log_temp_files', 'log_parameter_max_length',
                           'track_io_timing', 'wal_compression',
                           -- read by PostgREST and by preloaded libraries; unknown to a plain server, yet ALTER ROLE .. SET must take them
                           'pgrst.db_schemas', 'pgrst.db_extra_search_path', 'pgrst.db_max_rows', 'pgrst.db_pre_request', 'pgrst.db_anon_role',
                           'pgrst.db_aggregates_enabled', 'pgrst.db_plan_enabled', 'pgrst.db_tx_end', 'pgrst.db_root_spec', 'pgrst.db_use_legacy_gucs',
                           'pgrst.db_safe_update_tables', 'pgrst.jwt_secret', 'pgrst.jwt_role_claim_key', 'pgrst.openapi_mode',
                           'pgrst.openapi_security_active', 'pgrst.openapi_server_proxy_uri', 'pgrst.server_timing_enabled', 'pgrst.raw_media_types',
                           'pgrst.server_cors_allowed_origins', 'pgrst.app_settings', 'safeupdate.enabled', 'plan_filter.statement_cost_limit',
                           'auto_explain.log_min_duration', 'auto_explain.log_analyze', 'auto_explain.log_nested_statements', 'pgaudit.log',
                           'pgaudit.log_catalog', 'pgaudit.log_client', 'pgaudit.log_level', 'pgaudit.log_relation', 'pgaudit.log_rows',
                           'pgaudit.log_statement', 'pgaudit.log_statement_once', 'pgaudit.role', 'pg_net.batch_size', 'pg_net.ttl',
                           'pg_stat_statements.track', 'pg_stat_statements.max', 'pg_stat_statements.track_utility'] loop
    execute format('grant set on parameter %s to postgres', (select string_agg(quote_ident(x), '.') from unnest(string_to_array(g, '.')) x));
  end loop;
end
$$;

------------------------------------------------------------------------------------------------ database, public, extensions
do $$
begin
  execute format('alter database %I owner to postgres', current_database());
  execute format('grant all on database %I to postgres, dashboard_user', current_database());
  execute format('grant create on database %I to supabase_auth_admin, supabase_storage_admin, supabase_realtime_admin', current_database());
end
$$;

grant usage on schema public to postgres, anon, authenticated, service_role;
grant create, usage on schema public to supabase_realtime_admin;
do $$
declare
  o text;
begin
  foreach o in array array['postgres', 'supabase_admin'] loop
    execute format('alter default privileges for role %I in schema public grant all on tables    to postgres, anon, authenticated, service_role', o);
    execute format('alter default privileges for role %I in schema public grant all on functions to postgres, anon, authenticated, service_role', o);
    execute format('alter default privileges for role %I in schema public grant all on sequences to postgres, anon, authenticated, service_role', o);
  end loop;
  if coalesce(nullif(current_setting('shadow.expose_public', true), ''), 'on') = 'off' then
    alter default privileges for role postgres in schema public revoke select, insert, update, delete on tables from anon, authenticated, service_role;
    alter default privileges for role postgres in schema public revoke usage, select on sequences from anon, authenticated, service_role;
    alter default privileges for role postgres in schema public revoke execute on functions from anon, authenticated, service_role;
  end if;
end
$$;

create schema extensions authorization postgres;
grant usage on schema extensions to anon, authenticated, service_role, supabase_realtime_admin;
grant all on schema extensions to dashboard_user;
alter default privileges for role supabase_admin in schema extensions grant all on tables    to postgres with grant option;
alter default privileges for role supabase_admin in schema extensions grant all on routines  to postgres with grant option;
alter default privileges for role supabase_admin in schema extensions grant all on sequences to postgres with grant option;

create schema graphql_public authorization supabase_admin;
grant usage on schema graphql_public to anon, authenticated, service_role;
grant usage on schema graphql_public to postgres with grant option;
create schema graphql authorization supabase_admin;
grant usage on schema graphql to anon, authenticated, service_role;
grant usage on schema graphql to postgres with grant option;
create schema pgbouncer authorization pgbouncer;
-- only on projects that started before PostgreSQL 17, but many a dumped history names them
create schema pgsodium authorization supabase_admin;
create schema pgsodium_masks authorization supabase_admin;
grant usage on schema pgsodium, pgsodium_masks to postgres, service_role, pgsodium_keyiduser;

create extension if not exists "uuid-ossp" with schema extensions;
create extension if not exists pgcrypto with schema extensions;
do $$
begin -- contrib may be missing on a minimal install: nothing below depends on it
  if exists (select from pg_available_extensions where name = 'pg_stat_statements') then
    create extension if not exists pg_stat_statements with schema extensions;
  end if;
end
$$;

create function graphql_public.graphql("operationName" text default null, query text default null, variables jsonb default null, extensions jsonb default null)
returns jsonb language sql as $$ select '{"errors": [{"message": "pg_graphql extension is not enabled."}]}'::jsonb $$;

--------------------------------------------------------------------------------------------------------------------- auth
create schema auth authorization supabase_admin;
grant usage on schema auth to postgres, anon, authenticated, service_role, supabase_realtime_admin;
grant usage on schema auth to supabase_auth_admin, dashboard_user; -- no CREATE: postgres inherits from the admin roles below

create type auth.aal_level as enum ('aal1', 'aal2', 'aal3');
create type auth.code_challenge_method as enum ('s256', 'plain');
create type auth.factor_status as enum ('unverified', 'verified');
create type auth.factor_type as enum ('totp', 'webauthn', 'phone');
create type auth.oauth_authorization_status as enum ('pending', 'approved', 'denied', 'expired');
create type auth.oauth_client_type as enum ('public', 'confidential');
create type auth.oauth_registration_type as enum ('dynamic', 'manual');
create type auth.oauth_response_type as enum ('code');
create type auth.one_time_token_type as enum ('confirmation_token', 'reauthentication_token', 'recovery_token', 'email_change_token_new', 'email_change_token_current', 'phone_change_token');

create table auth.users (
  instance_id uuid,
  id uuid not null constraint users_pkey primary key,
  aud varchar(255), role varchar(255), email varchar(255), encrypted_password varchar(255),
  email_confirmed_at timestamptz, invited_at timestamptz,
  confirmation_token varchar(255), confirmation_sent_at timestamptz,
  recovery_token varchar(255), recovery_sent_at timestamptz,
  email_change_token_new varchar(255), email_change varchar(255), email_change_sent_at timestamptz,
  last_sign_in_at timestamptz,
  raw_app_meta_data jsonb, raw_user_meta_data jsonb,
  is_super_admin boolean,
  created_at timestamptz, updated_at timestamptz,
  phone text default null constraint users_phone_key unique, phone_confirmed_at timestamptz,
  phone_change text default '', phone_change_token varchar(255) default '', phone_change_sent_at timestamptz,
  confirmed_at timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
  email_change_token_current varchar(255) default '',
  email_change_confirm_status smallint default 0 constraint users_email_change_confirm_status_check check (email_change_confirm_status between 0 and 2),
  banned_until timestamptz,
  reauthentication_token varchar(255) default '', reauthentication_sent_at timestamptz,
  is_sso_user boolean not null default false,
  deleted_at timestamptz,
  is_anonymous boolean not null default false
);
create unique index users_email_partial_key on auth.users (email) where is_sso_user = false;
create unique index confirmation_token_idx on auth.users (confirmation_token) where confirmation_token !~ '^[0-9 ]*$';
create unique index recovery_token_idx on auth.users (recovery_token) where recovery_token !~ '^[0-9 ]*$';
create unique index email_change_token_new_idx on auth.users (email_change_token_new) where email_change_token_new !~ '^[0-9 ]*$';
create unique index email_change_token_current_idx on auth.users (email_change_token_current) where email_change_token_current !~ '^[0-9 ]*$';
create unique index reauthentication_token_idx on auth.users (reauthentication_token) where reauthentication_token !~ '^[0-9 ]*$';
create index users_instance_id_idx on auth.users (instance_id);
create index users_instance_id_email_idx on auth.users (instance_id, lower(email));
create index users_is_anonymous_idx on auth.users (is_anonymous);

create table auth.identities (
  provider_id text not null,
  user_id uuid not null constraint identities_user_id_fkey references auth.users on delete cascade,
  identity_data jsonb not null, provider text not null,
  last_sign_in_at timestamptz, created_at timestamptz, updated_at timestamptz,
  email text generated always as (lower(identity_data ->> 'email')) stored,
  id uuid not null default gen_random_uuid() constraint identities_pkey primary key,
  constraint identities_provider_id_provider_unique unique (provider_id, provider)
);
create index identities_email_idx on auth.identities (email text_pattern_ops);
create index identities_user_id_idx on auth.identities (user_id);

create table auth.oauth_clients (
  id uuid not null constraint oauth_clients_pkey primary key,
  client_secret_hash text, registration_type auth.oauth_registration_type not null,
  redirect_uris text not null, grant_types text not null, client_name text, client_uri text, logo_uri text,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now(), deleted_at timestamptz,
  client_type auth.oauth_client_type not null default 'confidential', token_endpoint_auth_method text not null
);
create table auth.sessions (
  id uuid not null constraint sessions_pkey primary key,
  user_id uuid not null constraint sessions_user_id_fkey references auth.users on delete cascade,
  created_at timestamptz, updated_at timestamptz, factor_id uuid, aal auth.aal_level, not_after timestamptz, refreshed_at timestamp,
  user_agent text, ip inet, tag text,
  oauth_client_id uuid constraint sessions_oauth_client_id_fkey references auth.oauth_clients on delete cascade,
  refresh_token_hmac_key text, refresh_token_counter bigint, scopes text
);
create index sessions_user_id_idx on auth.sessions (user_id);
create index user_id_created_at_idx on auth.sessions (user_id, created_at);
create table auth.refresh_tokens (
  instance_id uuid,
  id bigserial not null constraint refresh_tokens_pkey primary key,
  token varchar(255) constraint refresh_tokens_token_unique unique, user_id varchar(255), revoked boolean,
  created_at timestamptz, updated_at timestamptz, parent varchar(255),
  session_id uuid constraint refresh_tokens_session_id_fkey references auth.sessions on delete cascade
);
create table auth.instances (id uuid not null constraint instances_pkey primary key, uuid uuid, raw_base_config text, created_at timestamptz, updated_at timestamptz);
create table auth.audit_log_entries (instance_id uuid, id uuid not null constraint audit_log_entries_pkey primary key, payload json, created_at timestamptz, ip_address varchar(64) not null default '');
create table auth.schema_migrations (version varchar(255) not null constraint schema_migrations_pkey primary key);
create table auth.mfa_factors (
  id uuid not null constraint mfa_factors_pkey primary key,
  user_id uuid not null constraint mfa_factors_user_id_fkey references auth.users on delete cascade,
  friendly_name text, factor_type auth.factor_type not null, status auth.factor_status not null,
  created_at timestamptz not null, updated_at timestamptz not null, secret text, phone text,
  last_challenged_at timestamptz constraint mfa_factors_last_challenged_at_key unique,
  web_authn_credential jsonb, web_authn_aaguid uuid, last_webauthn_challenge_data jsonb
);
create table auth.mfa_challenges (
  id uuid not null constraint mfa_challenges_pkey primary key,
  factor_id uuid not null constraint mfa_challenges_auth_factor_id_fkey references auth.mfa_factors on delete cascade,
  created_at timestamptz not null, verified_at timestamptz, ip_address inet not null, otp_code text, web_authn_session_data jsonb
);
create table auth.mfa_amr_claims (
  session_id uuid not null constraint mfa_amr_claims_session_id_fkey references auth.sessions on delete cascade,
  created_at timestamptz not null, updated_at timestamptz not null, authentication_method text not null,
  id uuid not null constraint amr_id_pk primary key,
  constraint mfa_amr_claims_session_id_authentication_method_pkey unique (session_id, authentication_method)
);
create table auth.one_time_tokens (
  id uuid not null constraint one_time_tokens_pkey primary key,
  user_id uuid not null constraint one_time_tokens_user_id_fkey references auth.users on delete cascade,
  token_type auth.one_time_token_type not null, token_hash text not null check (char_length(token_hash) > 0), relates_to text not null,
  created_at timestamp not null default now(), updated_at timestamp not null default now()
);
create table auth.flow_state (
  id uuid not null constraint flow_state_pkey primary key, user_id uuid, auth_code text,
  code_challenge_method auth.code_challenge_method, code_challenge text, provider_type text not null,
  provider_access_token text, provider_refresh_token text, created_at timestamptz, updated_at timestamptz,
  authentication_method text not null, auth_code_issued_at timestamptz, invite_token text, referrer text,
  oauth_client_state_id uuid, linking_target_id uuid, email_optional boolean not null default false
);
create table auth.sso_providers (
  id uuid not null constraint sso_providers_pkey primary key, resource_id text, created_at timestamptz, updated_at timestamptz, disabled boolean
);
create table auth.sso_domains (
  id uuid not null constraint sso_domains_pkey primary key,
  sso_provider_id uuid not null constraint sso_domains_sso_provider_id_fkey references auth.sso_providers on delete cascade,
  domain text not null, created_at timestamptz, updated_at timestamptz
);
create table auth.saml_providers (
  id uuid not null constraint saml_providers_pkey primary key,
  sso_provider_id uuid not null constraint saml_providers_sso_provider_id_fkey references auth.sso_providers on delete cascade,
  entity_id text not null constraint saml_providers_entity_id_key unique, metadata_xml text not null, metadata_url text,
  attribute_mapping jsonb, created_at timestamptz, updated_at timestamptz, name_id_format text
);
create table auth.saml_relay_states (
  id uuid not null constraint saml_relay_states_pkey primary key,
  sso_provider_id uuid not null constraint saml_relay_states_sso_provider_id_fkey references auth.sso_providers on delete cascade,
  request_id text not null, for_email text, redirect_to text, created_at timestamptz, updated_at timestamptz,
  flow_state_id uuid constraint saml_relay_states_flow_state_id_fkey references auth.flow_state on delete cascade
);
create table auth.oauth_authorizations (
  id uuid not null constraint oauth_authorizations_pkey primary key, authorization_id text not null constraint oauth_authorizations_authorization_id_key unique,
  client_id uuid not null constraint oauth_authorizations_client_id_fkey references auth.oauth_clients on delete cascade,
  user_id uuid constraint oauth_authorizations_user_id_fkey references auth.users on delete cascade,
  redirect_uri text not null, scope text not null, state text, resource text, code_challenge text, code_challenge_method auth.code_challenge_method,
  response_type auth.oauth_response_type not null default 'code', status auth.oauth_authorization_status not null default 'pending',
  authorization_code text constraint oauth_authorizations_authorization_code_key unique, created_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '3 minutes', approved_at timestamptz, nonce text
);
create table auth.oauth_consents (
  id uuid not null constraint oauth_consents_pkey primary key,
  user_id uuid not null constraint oauth_consents_user_id_fkey references auth.users on delete cascade,
  client_id uuid not null constraint oauth_consents_client_id_fkey references auth.oauth_clients on delete cascade,
  scopes text not null, granted_at timestamptz not null default now(), revoked_at timestamptz,
  constraint oauth_consents_user_client_unique unique (user_id, client_id)
);
create table auth.oauth_client_states (id uuid not null constraint oauth_client_states_pkey primary key, provider_type text not null, code_verifier text, created_at timestamptz not null);
create table auth.custom_oauth_providers (
  id uuid not null default gen_random_uuid() constraint custom_oauth_providers_pkey primary key, provider_type text not null,
  identifier text not null constraint custom_oauth_providers_identifier_key unique, name text not null, client_id text not null, client_secret text not null,
  acceptable_client_ids text[] not null default '{}', scopes text[] not null default '{}', pkce_enabled boolean not null default true,
  attribute_mapping jsonb not null default '{}', authorization_params jsonb not null default '{}', enabled boolean not null default true,
  email_optional boolean not null default false, issuer text, discovery_url text, skip_nonce_check boolean not null default false, cached_discovery jsonb,
  discovery_cached_at timestamptz, authorization_url text, token_url text, userinfo_url text, jwks_uri text,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now(), custom_claims_allowlist text[] not null default '{}'
);
create table auth.webauthn_credentials (
  id uuid not null default gen_random_uuid() constraint webauthn_credentials_pkey primary key,
  user_id uuid not null constraint webauthn_credentials_user_id_fkey references auth.users on delete cascade,
  credential_id bytea not null, public_key bytea not null, attestation_type text not null default '', aaguid uuid, sign_count bigint not null default 0,
  transports jsonb not null default '[]', backup_eligible boolean not null default false, backed_up boolean not null default false,
  friendly_name text not null default '', created_at timestamptz not null default now(), updated_at timestamptz not null default now(), last_used_at timestamptz
);
create table auth.webauthn_challenges (
  id uuid not null default gen_random_uuid() constraint webauthn_challenges_pkey primary key,
  user_id uuid constraint webauthn_challenges_user_id_fkey references auth.users on delete cascade,
  challenge_type text not null, session_data jsonb not null, created_at timestamptz not null default now(), expires_at timestamptz not null
);

-- identity of the caller, from the settings that the API layer puts in place for every request
create function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb $$;
create function auth.uid() returns uuid language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
create function auth.role() returns text language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''), nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role') $$;
create function auth.email() returns text language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.email', true), ''), nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email') $$;

------------------------------------------------------------------------------------------------------------------ storage
create schema storage authorization supabase_admin;
grant usage on schema storage to anon, authenticated, service_role;
grant usage on schema storage to postgres with grant option;
grant usage on schema storage to supabase_storage_admin, dashboard_user;

create type storage.buckettype as enum ('STANDARD', 'ANALYTICS', 'VECTOR');
create table storage.buckets (
  id text not null constraint buckets_pkey primary key, name text not null, owner uuid,
  created_at timestamptz default now(), updated_at timestamptz default now(),
  public boolean default false, avif_autodetection boolean default false, file_size_limit bigint, allowed_mime_types text[],
  owner_id text, type storage.buckettype not null default 'STANDARD',
  versioning_status text not null default 'DISABLED' constraint buckets_versioning_status_check check (versioning_status in ('DISABLED', 'ENABLED', 'SUSPENDED'))
);
create unique index bname on storage.buckets (name);
create table storage.objects (
  id uuid not null default gen_random_uuid() constraint objects_pkey primary key,
  bucket_id text constraint "objects_bucketId_fkey" references storage.buckets, name text, owner uuid,
  created_at timestamptz default now(), updated_at timestamptz default now(), last_accessed_at timestamptz default now(),
  metadata jsonb, path_tokens text[] generated always as (string_to_array(name, '/')) stored,
  version text, owner_id text, user_metadata jsonb,
  archived_at timestamptz, is_delete_marker boolean not null default false, is_versioned boolean not null default false
);
create unique index bucketid_objname on storage.objects (bucket_id, name);
create index name_prefix_search on storage.objects (name text_pattern_ops);
create index idx_objects_bucket_id_name on storage.objects (bucket_id, name collate "C");
create table storage.migrations (id integer primary key, name varchar(100) not null unique, hash varchar(40) not null, executed_at timestamp default current_timestamp);
create table storage.s3_multipart_uploads (
  id text primary key, in_progress_size bigint not null default 0, upload_signature text not null, bucket_id text not null references storage.buckets,
  key text not null, version text not null, owner_id text, created_at timestamptz not null default now(), user_metadata jsonb, metadata jsonb
);
create table storage.s3_multipart_uploads_parts (
  id uuid primary key default gen_random_uuid(), upload_id text not null references storage.s3_multipart_uploads on delete cascade, size bigint not null default 0,
  part_number integer not null, bucket_id text not null references storage.buckets, key text not null, etag text not null, owner_id text, version text not null,
  created_at timestamptz not null default now()
);
create table storage.buckets_analytics (
  name text not null, type storage.buckettype not null default 'ANALYTICS', format text not null default 'ICEBERG', created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(), id uuid primary key default gen_random_uuid(), deleted_at timestamptz
);
create table storage.buckets_vectors (id text primary key, type storage.buckettype not null default 'VECTOR', created_at timestamptz not null default now(), updated_at timestamptz not null default now());

create function storage.foldername(name text) returns text[] language plpgsql immutable as $$
declare parts text[] := string_to_array(name, '/');
begin return parts[1 : array_length(parts, 1) - 1]; end $$;
create function storage.filename(name text) returns text language plpgsql immutable as $$
declare parts text[] := string_to_array(name, '/');
begin return parts[array_length(parts, 1)]; end $$;
create function storage.extension(name text) returns text language plpgsql immutable as $$
begin return reverse(split_part(reverse(storage.filename(name)), '.', 1)); end $$;
create function storage.operation() returns text language plpgsql stable as $$ begin return current_setting('storage.operation', true); end $$;
create function storage.allow_only_operation(expected_operation text) returns boolean language sql stable as $$
  select coalesce(regexp_replace(storage.operation(), '^storage\.', '') = regexp_replace(nullif(expected_operation, ''), '^storage\.', ''), false) $$;
create function storage.allow_any_operation(expected_operations text[]) returns boolean language sql stable as $$
  select exists (select from unnest(expected_operations) e where storage.allow_only_operation(e)) $$;
create function storage.can_insert_object(bucketid text, name text, owner uuid, metadata jsonb) returns void language plpgsql as $$
begin
  insert into storage.objects (bucket_id, name, owner, metadata) values (bucketid, name, owner, metadata);
  raise sqlstate 'PT200' using message = 'ROLLBACK', detail = 'rollback successful insert';
end $$;
create function storage.get_size_by_bucket() returns table(size bigint, bucket_id text) language sql stable as $$
  select sum((metadata ->> 'size')::bigint)::bigint, o.bucket_id from storage.objects o group by o.bucket_id $$;
create function storage.search(prefix text, bucketname text, limits integer default 100, levels integer default 1, offsets integer default 0, search text default '', sortcolumn text default 'name', sortorder text default 'asc')
  returns table(name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb) language sql stable as $$
  select o.name, o.id, o.updated_at, o.created_at, o.last_accessed_at, o.metadata from storage.objects o where o.bucket_id = bucketname and o.name like prefix || '%' limit limits offset offsets $$;
create function storage.update_updated_at_column() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
create function storage.enforce_bucket_name_length() returns trigger language plpgsql as $$
begin
  if length(new.name) > 100 then raise exception 'bucket name "%" is too long (% characters). Max is 100.', new.name, length(new.name); end if;
  return new;
end $$;
-- The platform refuses DELETE on these two tables in SQL: a DOWN section that deletes a bucket fails in production, so it fails here.
create function storage.protect_delete() returns trigger language plpgsql as $$
begin
  if coalesce(current_setting('storage.allow_delete_query', true), 'false') <> 'true' then
    raise exception 'Direct deletion from storage tables is not allowed. Use the Storage API instead.'
      using errcode = '42501', hint = 'This prevents accidental data loss from orphaned objects.';
  end if;
  return null;
end $$;
create trigger update_objects_updated_at before update on storage.objects for each row execute function storage.update_updated_at_column();
create trigger enforce_bucket_name_length_trigger before insert or update of name on storage.buckets for each row execute function storage.enforce_bucket_name_length();
create trigger protect_buckets_delete before delete on storage.buckets for each statement execute function storage.protect_delete();
create trigger protect_objects_delete before delete on storage.objects for each statement execute function storage.protect_delete();

----------------------------------------------------------------------------------------------------------------- realtime
create schema realtime authorization supabase_admin;
grant usage on schema realtime to anon, authenticated, service_role;
grant usage on schema realtime to postgres with grant option;
grant usage on schema realtime to supabase_realtime_admin with grant option;
create publication supabase_realtime with (publish = 'insert, update, delete, truncate');
alter publication supabase_realtime owner to postgres;

create type realtime.equality_op as enum ('eq', 'neq', 'lt', 'lte', 'gt', 'gte', 'in', 'like', 'ilike', 'is', 'match', 'imatch');
create type realtime.action as enum ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'ERROR');
create type realtime.user_defined_filter as (column_name text, op realtime.equality_op, value text);
create type realtime.wal_column as (name text, type_name text, type_oid oid, value jsonb, is_pkey boolean, is_selectable boolean);
create type realtime.wal_rls as (wal jsonb, is_rls_enabled boolean, subscription_ids uuid[], errors text[]);
create table realtime.messages (
  topic text not null, extension text not null, payload jsonb, event text, private boolean default false,
  updated_at timestamp not null default now(), inserted_at timestamp not null default now(),
  id uuid not null default gen_random_uuid(), binary_payload bytea,
  primary key (id, inserted_at)
) partition by range (inserted_at);
create table realtime.messages_shadow partition of realtime.messages default;
create table realtime.subscription (
  id bigint generated always as identity constraint pk_subscription primary key, subscription_id uuid not null, entity regclass not null,
  filters realtime.user_defined_filter[] not null default '{}', claims jsonb not null, claims_role regrole, created_at timestamp not null default timezone('utc', now()),
  action_filter text default '*' check (action_filter in ('*', 'INSERT', 'UPDATE', 'DELETE')), selected_columns text[]
);
create table realtime.schema_migrations (version bigint primary key, inserted_at timestamp(0));

create function realtime.topic() returns text language sql stable as $$ select nullif(current_setting('realtime.topic', true), '') $$;
create function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void language plpgsql as $$
begin
  perform set_config('realtime.topic', topic, true);
  insert into realtime.messages (payload, event, topic, private, extension) values (payload, event, topic, private, 'broadcast');
exception when others then
  raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
end $$;
create function realtime.send_binary(payload bytea, event text, topic text, private boolean default true) returns void language plpgsql as $$
begin
  insert into realtime.messages (binary_payload, event, topic, private, extension) values (payload, event, topic, private, 'broadcast');
exception when others then
  raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
end $$;
create function realtime.broadcast_changes(topic_name text, event_name text, operation text, table_name text, table_schema text, new record, old record, level text default 'ROW') returns void language plpgsql as $$
begin
  if level = 'STATEMENT' then raise exception 'function can only be triggered for each row, not for each statement'; end if;
  perform realtime.send(jsonb_build_object('old_record', old, 'record', new, 'operation', operation, 'table', table_name, 'schema', table_schema), event_name, topic_name);
end $$;
create function realtime.to_regrole(role_name text) returns regrole language sql immutable as $$ select role_name::regrole $$;
create function realtime.cast(val text, type_ regtype) returns jsonb language plpgsql immutable as $$
declare res jsonb; begin execute format('select to_jsonb(%L::%s)', val, type_) into res; return res; end $$;

----------------------------------------------------------------------------------------------------- supabase_functions (webhooks)
-- Present on the platform only after database webhooks were enabled, always present in the local CLI stack.
create schema supabase_functions authorization supabase_admin;
grant usage on schema supabase_functions to postgres, anon, authenticated, service_role;
grant all on schema supabase_functions to supabase_functions_admin;
create table supabase_functions.migrations (version text primary key, inserted_at timestamptz not null default now());
create table supabase_functions.hooks (id bigserial primary key, hook_table_id integer not null, hook_name text not null, created_at timestamptz not null default now(), request_id bigint);
create function supabase_functions.http_request() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  -- TG_ARGV: url, method, headers, params, timeout; nothing is sent from the shadow
  if tg_argv[0] is null or tg_argv[0] = 'null' then raise exception 'url argument is missing'; end if;
  if tg_argv[1] is null or tg_argv[1] = 'null' then raise exception 'method argument is missing'; end if;
  return coalesce(new, old);
end $$;
grant execute on function supabase_functions.http_request() to postgres, anon, authenticated, service_role;
grant all on all tables in schema supabase_functions to postgres, supabase_functions_admin;
grant all on all sequences in schema supabase_functions to postgres, supabase_functions_admin;

-------------------------------------------------------------------------------------------------------- owners and privileges
do $$
declare
  r record;
begin
  for r in
    select c.oid::regclass as rel, c.relkind, n.nspname, c.relname,
           case n.nspname when 'auth' then 'supabase_auth_admin' when 'storage' then 'supabase_storage_admin' when 'realtime' then 'supabase_realtime_admin' else 'supabase_functions_admin' end as owner
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('auth', 'storage', 'realtime', 'supabase_functions') and c.relkind in ('r', 'p')
  loop
    execute format('alter table %s owner to %I', r.rel, r.owner);
    if r.nspname in ('auth', 'storage') and r.relname !~ '^(oauth_|custom_oauth|webauthn_)' then
      execute format('alter table %s enable row level security', r.rel);
    end if;
  end loop;
  for r in
    select p.oid::regprocedure as f, n.nspname,
           case n.nspname when 'auth' then 'supabase_auth_admin' when 'storage' then 'supabase_storage_admin' when 'realtime' then 'supabase_realtime_admin' else 'supabase_functions_admin' end as owner
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('auth', 'storage', 'realtime', 'supabase_functions')
  loop
    execute format('alter function %s owner to %I', r.f, r.owner);
  end loop;
  for r in
    select t.oid::regtype as t, n.nspname,
           case n.nspname when 'auth' then 'supabase_auth_admin' when 'storage' then 'supabase_storage_admin' else 'supabase_realtime_admin' end as owner
    from pg_type t join pg_namespace n on n.oid = t.typnamespace left join pg_class c on c.oid = t.typrelid
    where n.nspname in ('auth', 'storage', 'realtime') and (t.typtype = 'e' or c.relkind = 'c')
  loop
    execute format('alter type %s owner to %I', r.t, r.owner);
  end loop;
end
$$;
alter table realtime.messages enable row level security;
-- tables that postgres may not touch at all keep the superuser as owner
alter table auth.schema_migrations owner to supabase_admin;
alter table storage.migrations owner to supabase_admin;
alter table realtime.schema_migrations owner to supabase_admin;

grant all on all tables in schema auth to postgres, dashboard_user;
grant all on all sequences in schema auth to postgres, dashboard_user;
grant execute on all functions in schema auth to postgres, dashboard_user;
grant select on all tables in schema auth to postgres with grant option;
revoke all on auth.schema_migrations from postgres, dashboard_user;
alter default privileges for role supabase_auth_admin in schema auth grant all on tables to postgres, dashboard_user;
alter default privileges for role supabase_auth_admin in schema auth grant all on sequences to postgres, dashboard_user;
alter default privileges for role supabase_auth_admin in schema auth grant all on routines to postgres, dashboard_user;

grant all on storage.buckets, storage.objects to postgres with grant option;
grant all on storage.buckets, storage.objects, storage.buckets_analytics to anon, authenticated, service_role;
grant all on storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts to service_role;
grant select on storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts, storage.buckets_vectors to anon, authenticated, service_role;
grant execute on all functions in schema storage to postgres, anon, authenticated, service_role, dashboard_user;
alter default privileges for role postgres in schema storage grant all on tables to postgres, anon, authenticated, service_role;

grant select, insert, update on realtime.messages to postgres, anon, authenticated, service_role;
grant select on realtime.subscription to postgres, anon, authenticated, service_role;
grant all on realtime.subscription to postgres, dashboard_user;
grant execute on all functions in schema realtime to postgres, anon, authenticated, service_role, dashboard_user;

----------------------------------------------------------------------------------------------------------- vault and history
do $$
begin
  if exists (select from pg_available_extensions where name = 'supabase_vault') then
    create schema vault authorization supabase_admin;
    create extension supabase_vault with schema vault cascade;
  end if;
end
$$;
-- DROP / ALTER EXTENSION by postgres is delegated to the superuser on the platform; owning them has the same effect
update pg_extension set extowner = 'postgres'::regrole where extname <> 'plpgsql';
-- the Supabase CLI's history table, with the columns that the platform API adds; owned by postgres as after a first push
create schema supabase_migrations authorization postgres;
create table supabase_migrations.schema_migrations (
  version text not null primary key, statements text[], name text, created_by text, idempotency_key text unique, rollback text[]
);
alter table supabase_migrations.schema_migrations owner to postgres;

-------------------------------------------------------------------------------------------------------------------- guard
-- The platform's supautils library lets postgres manage policies and drop triggers on a list of tables that it does not own.
-- A plain server cannot express that, so here postgres is a member of the owning roles (as it was on the platform until
-- April 2025) and these event triggers refuse everything else, with the platform's error code and wording.
create schema shadow authorization supabase_admin;
grant usage on schema shadow to public;

create function shadow.is_platform_table(rel text) returns boolean language sql immutable as $$
  select rel = any (array[
    'auth.audit_log_entries', 'auth.flow_state', 'auth.identities', 'auth.instances', 'auth.mfa_amr_claims', 'auth.mfa_challenges', 'auth.mfa_factors',
    'auth.oauth_clients', 'auth.one_time_tokens', 'auth.refresh_tokens', 'auth.saml_providers', 'auth.saml_relay_states', 'auth.sessions',
    'auth.sso_domains', 'auth.sso_providers', 'auth.users', 'realtime.messages', 'realtime.subscription', 'storage.buckets',
    'storage.buckets_analytics', 'storage.objects', 'storage.prefixes', 'storage.s3_multipart_uploads', 'storage.s3_multipart_uploads_parts']) $$;

-- What the platform allowed when an old migration was written is allowed again while a statement of the history that today's
-- platform refuses is repeated. The migrating role stays what it is: no superuser is involved, so nothing can be escaped to.
create table shadow.state (elevated boolean not null);
insert into shadow.state values (false);
grant select on shadow.state to public;

create function shadow.applies() returns boolean language sql volatile as $$
  select not (select rolsuper from pg_roles where rolname = current_user) and not (select elevated from shadow.state) $$;

create procedure shadow.elevate(yes boolean) language plpgsql as $$
declare
  s text;
begin
  update shadow.state set elevated = yes;
  for s in select quote_ident(nspname) from pg_namespace
           where nspname in ('auth', 'storage', 'realtime', 'graphql', 'graphql_public', 'vault', 'pgsodium', 'pgsodium_masks', 'supabase_functions', 'cron', 'net') loop
    if yes then
      execute format('grant create on schema %s to postgres', s);
    else
      execute format('revoke create on schema %s from postgres', s);
    end if;
  end loop;
end
$$;
revoke all on procedure shadow.elevate from public;

create function shadow.refuse_ddl() returns event_trigger language plpgsql as $$
declare
  r record;
  target text;
begin
  if not shadow.applies() then return; end if;
  for r in select * from pg_event_trigger_ddl_commands() loop
    continue when r.in_extension;
    if r.command_tag = 'COMMENT' and r.object_type = 'extension' and r.object_identity <> 'pgmq' then
      raise exception 'must be owner of extension %', r.object_identity using errcode = '42501',
        hint = 'On Supabase extensions belong to supabase_admin. pg_dump writes COMMENT ON EXTENSION: delete these lines.';
    end if;
    -- policies, triggers and rules name their table in the identity: "<name> on <schema>.<table>"
    target := case when r.object_type in ('policy', 'trigger', 'rule') then substring(r.object_identity from ' on (\S+)$')
                   when r.object_type = 'index' then (select format('%s.%s', n.nspname, c.relname) from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace where i.indexrelid = r.objid)
                   when r.object_type like 'table%' then regexp_replace(r.object_identity, '^([^.]+\.[^.]+).*$', '\1')
                   else r.object_identity end;
    continue when target is null or split_part(target, '.', 1) not in ('auth', 'storage', 'realtime');
    continue when r.object_type = 'policy' and shadow.is_platform_table(target);
    continue when r.object_type = 'trigger' and r.command_tag = 'CREATE TRIGGER';
    continue when r.command_tag in ('GRANT', 'REVOKE', 'ALTER DEFAULT PRIVILEGES');
    raise exception 'must be owner of % %', case when r.object_type like 'table%' or r.object_type in ('policy', 'trigger', 'rule', 'index') then 'table' else r.object_type end,
      case when r.object_type in ('policy', 'trigger', 'rule', 'index') or r.object_type like 'table%' then split_part(target, '.', 2) else r.object_identity end
      using errcode = '42501', detail = format('%s on %s (%s)', r.command_tag, r.object_identity, r.object_type),
            hint = format('On Supabase the schema "%s" belongs to the platform: the role postgres may only manage policies and create or drop triggers there.', split_part(target, '.', 1));
  end loop;
end $$;

create function shadow.refuse_drop() returns event_trigger language plpgsql as $$
declare
  r record;
  target text;
begin
  if not shadow.applies() then return; end if;
  for r in select * from pg_event_trigger_dropped_objects() loop
    continue when not r.original;
    target := case when r.object_type in ('policy', 'trigger', 'rule') then substring(r.object_identity from ' on (\S+)$') else r.object_identity end;
    continue when target is null or split_part(target, '.', 1) not in ('auth', 'storage', 'realtime');
    continue when r.object_type in ('policy', 'trigger') and shadow.is_platform_table(target);
    raise exception 'must be owner of % %', case when r.object_type in ('policy', 'trigger', 'rule') then 'relation' else r.object_type end, split_part(target, '.', 2)
      using errcode = '42501', detail = format('%s %s', tg_tag, r.object_identity),
            hint = format('On Supabase the schema "%s" belongs to the platform.', split_part(target, '.', 1));
  end loop;
end $$;

create event trigger shadow_refuse_ddl on ddl_command_end execute function shadow.refuse_ddl();
create event trigger shadow_refuse_drop on sql_drop execute function shadow.refuse_drop();
grant supabase_auth_admin, supabase_storage_admin, supabase_realtime_admin to postgres;

-- also where session_replication_role, which postgres may set, switches ordinary triggers off
alter event trigger shadow_refuse_ddl enable always;
alter event trigger shadow_refuse_drop enable always;
-- Before PostgreSQL 16 CREATEROLE may grant every role that is not superuser, these included; the platform reserves them.
update pg_authid set rolsuper = true where rolname in ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files');
