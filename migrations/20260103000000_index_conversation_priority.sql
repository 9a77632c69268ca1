-- Description: Index conversations by priority
-- Runs outside a transaction: keep other statements out of this file.

-- UP MIGRATION
CREATE INDEX CONCURRENTLY conversations_priority_idx
    ON public.conversations (priority);

-- DOWN MIGRATION (ROLLBACK)
DROP INDEX CONCURRENTLY public.conversations_priority_idx;
