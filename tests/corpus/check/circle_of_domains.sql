create domain public.d as public.e;
create domain public.e as public.d;
create table public.t (id int primary key, a public.d);
alter table public.t add column b public.d, alter column b type public.e;
