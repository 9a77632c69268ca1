-- Description: Example: rename conversations.status to conversation_status (2 of 3: backfill)
-- An example: its name does not begin with a version, so it is never applied. Written by
-- `lockkeeper pattern rename-column table=public.conversations from=status to=conversation_status type=text`.
-- Runs in batches, each committed by itself; after an interruption it goes on where it stopped.

-- UP MIGRATION
-- lockkeeper: backfill table=public.conversations key=id batch=5000 pause=50ms
UPDATE public.conversations SET conversation_status = status WHERE conversation_status IS DISTINCT FROM status;

-- DOWN MIGRATION (ROLLBACK)
-- Nothing to undo: the column goes with the DOWN of the phase before.
SELECT 1;
