-- Description: Rename conversations.status to conversation_status (2 of 4: backfill)
-- An example: its name has no version, so it is listed by `status -v` and never applied. To use it, copy it
-- under a name such as 20260102030405_rename_status_2_backfill.sql, or let `lockkeeper create --from rename-column` write it.
-- Runs in batches, each committed by itself; after an interruption it goes on where it stopped.

-- UP MIGRATION
-- lockkeeper: backfill table=public.conversations key=id batch=5000 pause=50ms
UPDATE public.conversations SET conversation_status = status WHERE conversation_status IS DISTINCT FROM status;

-- DOWN MIGRATION (ROLLBACK)
-- Nothing to undo: the column goes with the DOWN of the phase before.
SELECT 1;
