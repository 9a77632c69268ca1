-- Description: Speed up the inbox

-- UP MIGRATION
ALTER TABLE public.conversations ADD COLUMN assignee bigint;
CREATE INDEX conversations_status_idx ON public.conversations (status);
ALTER TABLE public.conversations ALTER COLUMN status TYPE varchar(20);
ALTER TABLE public.conversations DROP COLUMN title;

-- DOWN MIGRATION (ROLLBACK)
DROP INDEX public.conversations_status_idx;
ALTER TABLE public.conversations ADD COLUMN title text;
