drop table a; -- lockkeeper: ignore drop-table x
-- lockkeeper: ignore drop-table y