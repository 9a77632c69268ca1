-- Description: Add priority to conversations
-- A constant default is stored once, not written to every row.

-- UP MIGRATION
ALTER TABLE public.conversations
    ADD COLUMN priority text NOT NULL DEFAULT 'medium';

-- DOWN MIGRATION (ROLLBACK)
ALTER TABLE public.conversations
    DROP COLUMN priority;
