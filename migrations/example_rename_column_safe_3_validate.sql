-- Description: Rename conversations.status to conversation_status (3 of 4: validate)
-- An example: its name has no version, so it is listed by `status -v` and never applied. To use it, copy it
-- under a name such as 20260102030405_rename_status_3_validate.sql, or let `lockkeeper create --from rename-column` write it.
-- Reads the whole table while reads and writes go on; fails if an old row breaks the constraint.

-- UP MIGRATION
ALTER TABLE public.conversations
    VALIDATE CONSTRAINT conversations_conversation_status_not_null;

-- DOWN MIGRATION (ROLLBACK)
-- A constraint cannot be made unvalidated; it is put back as it was.
ALTER TABLE public.conversations
    DROP CONSTRAINT conversations_conversation_status_not_null,
    ADD CONSTRAINT conversations_conversation_status_not_null CHECK (conversation_status IS NOT NULL) NOT VALID;
