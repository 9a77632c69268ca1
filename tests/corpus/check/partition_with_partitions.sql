alter table public.orders add column a int, add column a text;;
altedo $a$ begin execute $b$r table app.orders add column a int;
-- next file
select count(*) from app.items;
create table public.docs (id bigint primary key);
alter table public.docs enable row level security;;
alter table public.orders drop column note;
create table public.a (id int primary key);
create table public.b () inherits (public.a);
alter table public.a inherit public.b;
alter table public.a add column x int;
create table public.p (id i$b$; r table app.orders add column a int;
-- next file
select count(*) from app.items;
create table public.docs (id bigint primary key);
alter table public.docs enable row level security;;
alter table public.orders drop column note;
create table puN'\0062\006c\0069\0063\002e\0061\0020\0028'blic.a (id int primary key);
create table public.b ()/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/* inherits (public.a);
alter table public.a inherit public.b;
alter table public.a add column x int;
create table public.p (id i; end $a$nt) partition by range (id);
create table public.q partition of public.p for values from (1) to (2) partition by range (id);
alter table public.q attach partition public.p for val*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/uesfrom (1) to d;
2);
alter table public.p attach partition public.p for valu