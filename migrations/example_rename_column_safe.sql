-- Description: Serve conversations.status under the name conversation_status
-- An example: its name has no version, so it is listed by `status -v` and never applied. To use it, copy it
-- under a name such as 20260102030405_conversations_v1.sql.
--
-- Renaming a column in place breaks every query that is running against the old name. There are two ways round:
--
--   a. The view below. Nothing in the table changes: code that says `conversation_status` reads and writes
--      `conversations_v1`, released code goes on with `conversations.status`. It takes no lock on the table that
--      anybody waits for, and can stay for good.
--   b. The column itself gets the new name, in the four phases beside this file, each its own deploy:
--        example_rename_column_safe_1_expand.sql    new column, and a trigger that keeps both in step
--        example_rename_column_safe_2_backfill.sql  old rows, in batches
--        example_rename_column_safe_3_validate.sql  every row has a value, checked without blocking writes
--        example_rename_column_safe_4_contract.sql  the old column goes, when no running code uses it

-- UP MIGRATION

-- security_invoker: the row level security of `conversations` holds for whoever asks the view, too.
-- A view this plain can be written through: INSERT, UPDATE and DELETE reach the table.
CREATE VIEW public.conversations_v1 WITH (security_invoker = true) AS
    SELECT id, status AS conversation_status
    FROM public.conversations;

-- DOWN MIGRATION (ROLLBACK)

-- Deploy code that no longer uses the view first.
DROP VIEW public.conversations_v1;
