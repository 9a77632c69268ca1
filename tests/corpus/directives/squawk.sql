-- squawk-ignore
-- squawk-ignore ban-drop-table, prefer-robust-stmts
-- squawk-ignore-file
drop table a;
