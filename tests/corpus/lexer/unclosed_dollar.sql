do $a$ begin; end $b$;
select 2;
