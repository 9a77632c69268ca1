-- lockkeeper: transaction off
-- lockkeeper: lock-timeout 3s
-- lockkeeper: statement-timeout 1min
-- lockkeeper: irreversible it is
-- lockkeeper: ignore-file drop-table a
-- lockkeeper: ignore drop-table, drop-column b
-- lockkeeper: backfill table=a key=b batch=10 pause=1s
update a set b = 1;
