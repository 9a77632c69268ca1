-- Description: Add a priority to conversations (3 of 3: index)
-- An example: its name has no version, so it is listed by `status -v` and never applied. To use it, copy it
-- under a name such as 20260102030405_conversation_priority_index.sql, or let `lockkeeper create --from create-index` write it.
--
-- Runs outside a transaction, so it is alone in its file. A build that breaks off leaves an INVALID index behind;
-- the next `lockkeeper up` drops and rebuilds it.

-- UP MIGRATION
CREATE INDEX CONCURRENTLY conversations_priority_idx
    ON public.conversations (priority);

-- DOWN MIGRATION (ROLLBACK)
DROP INDEX CONCURRENTLY public.conversations_priority_idx;
