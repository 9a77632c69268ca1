-- Description: Example: add a column with a constraint
-- An example: its name does not begin with a version, so it is never applied.
-- `lockkeeper create --from add-column …` and `--from add-constraint …` write the same as migrations of
-- their own, the index included; here they stand in one file to be read.

-- UP MIGRATION

-- 1. A constant default is stored once; no row is written.
ALTER TABLE public.conversations
    ADD COLUMN priority text NOT NULL DEFAULT 'medium';

-- 2. NOT VALID: binds new rows at once, reads no old row.
ALTER TABLE public.conversations
    ADD CONSTRAINT conversations_priority_check
    CHECK (priority IN ('low', 'medium', 'high')) NOT VALID;

-- 3. In a migration of its own, so that the lock of step 2 is not held while the table is read.
ALTER TABLE public.conversations
    VALIDATE CONSTRAINT conversations_priority_check;

-- 4. In a migration of its own: it cannot run in a transaction.
CREATE INDEX CONCURRENTLY conversations_priority_idx
    ON public.conversations (priority);

-- DOWN MIGRATION (ROLLBACK)
DROP INDEX CONCURRENTLY public.conversations_priority_idx;

ALTER TABLE public.conversations
    DROP CONSTRAINT conversations_priority_check;

ALTER TABLE public.conversations
    DROP COLUMN priority;
