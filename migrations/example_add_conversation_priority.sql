-- Description: Add a priority to conversations (1 of 3: column and check)
-- An example: its name has no version, so it is listed by `status -v` and never applied. To use it, copy it
-- under a name such as 20260102030405_conversation_priority.sql, or let `lockkeeper create --from add-column` write it.
--
-- In three files, because each step commits before the next one: the ACCESS EXCLUSIVE lock of this one lasts
-- an instant, the validation (2) reads the table while everybody goes on, and the index (3) is built beside
-- running writes, which no transaction can do.

-- UP MIGRATION

-- A constant default is stored once in the catalog: no row is rewritten, and old rows read 'medium'.
ALTER TABLE public.conversations
    ADD COLUMN priority text DEFAULT 'medium' NOT NULL;

-- NOT VALID binds new and changed rows at once and reads no old one.
ALTER TABLE public.conversations
    ADD CONSTRAINT conversations_priority_check CHECK (priority IN ('low', 'medium', 'high')) NOT VALID;

-- DOWN MIGRATION (ROLLBACK)

-- The check goes with the column; so do the priorities that people have set by then, and `down` says how many.
ALTER TABLE public.conversations
    DROP COLUMN priority;
