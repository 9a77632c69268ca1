-- Servers, user mappings and foreign tables can be declared; without a handler nothing can be read through them.
create foreign data wrapper postgres_fdw no handler no validator;
create function @extschema@.postgres_fdw_disconnect(text) returns bool language sql as $$ select false $$;
create function @extschema@.postgres_fdw_disconnect_all() returns bool language sql as $$ select false $$;
create function @extschema@.postgres_fdw_get_connections(out server_name text, out valid boolean) returns setof record language sql as $$ select null::text, null::boolean where false $$;
