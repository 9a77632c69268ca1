-- lockkeeper: ignroe drop-table
-- lockkeeper:
-- lockkeeper: backfill table= key=
-- lockkeeper: lock-timeout 99999999999999999999h
select 1;