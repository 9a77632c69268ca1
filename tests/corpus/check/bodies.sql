do $$ begin execute 'drop table a'; execute format('drop table %I', x); end $$;
create function f() returns void language plpgsql as $$ begin drop table b; end $$;
select f();