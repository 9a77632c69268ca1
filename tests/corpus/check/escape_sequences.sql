alter table "[31mred" drop column "a
b"; drop table "::error::x", "##[error]y";