/* lockkeeper: ignore drop-table
 * because of
 * lockkeeper: transaction off
 */ drop table a;
