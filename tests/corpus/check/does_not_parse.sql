selec 1;
drop table a;
create table (;
drop table b;