create table a (b int);
-- DOWN MIGRATION
-- drop table a;
-- -- lockkeeper: ignore drop-table x
