-- UP MIGRATION
create table a (b int);
-- DOWN MIGRATION
drop table a;
