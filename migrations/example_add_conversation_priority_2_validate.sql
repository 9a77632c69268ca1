-- Description: Add a priority to conversations (2 of 3: validate the check)
-- An example: its name has no version, so it is listed by `status -v` and never applied. To use it, copy it
-- under a name such as 20260102030405_conversation_priority_validate.sql, or let `lockkeeper create --from add-constraint` write it.
-- Reads the whole table while reads and writes go on; fails if an old row breaks the constraint.

-- UP MIGRATION
ALTER TABLE public.conversations
    VALIDATE CONSTRAINT conversations_priority_check;

-- DOWN MIGRATION (ROLLBACK)
-- A constraint cannot be made unvalidated; it is put back as it was.
ALTER TABLE public.conversations
    DROP CONSTRAINT conversations_priority_check,
    ADD CONSTRAINT conversations_priority_check CHECK (priority IN ('low', 'medium', 'high')) NOT VALID;
