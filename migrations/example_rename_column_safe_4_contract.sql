-- Description: Rename conversations.status to conversation_status (4 of 4: contract)
-- An example: its name has no version, so it is listed by `status -v` and never applied. To use it, copy it
-- under a name such as 20260102030405_rename_status_4_contract.sql, or let `lockkeeper create --from rename-column` write it.
-- Merge when no running code reads or writes `status` any more.
-- Indexes, constraints, policies and views that use `status` must have moved to `conversation_status` by then.

-- UP MIGRATION
DROP TRIGGER conversations_status_conversation_status_sync ON public.conversations;

DROP FUNCTION public.conversations_status_conversation_status_sync();

ALTER TABLE public.conversations
    ALTER COLUMN conversation_status SET DEFAULT 'active',
    ALTER COLUMN conversation_status SET NOT NULL;

-- lockkeeper: ignore drop-column its values live on in conversation_status, and released code has stopped using it
ALTER TABLE public.conversations
    DROP COLUMN status;

-- DOWN MIGRATION (ROLLBACK)
ALTER TABLE public.conversations
    ADD COLUMN status text,
    ALTER COLUMN conversation_status DROP DEFAULT,
    ALTER COLUMN conversation_status DROP NOT NULL;

-- Copies every row in one transaction; other writers of a row wait for it.
UPDATE public.conversations SET status = conversation_status;

ALTER TABLE public.conversations
    ALTER COLUMN status SET DEFAULT 'active',
    ALTER COLUMN status SET NOT NULL;

CREATE FUNCTION public.conversations_status_conversation_status_sync() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- conversation_status has no default yet: a value in it comes from code that knows it.
        IF NEW.conversation_status IS NOT NULL THEN
            NEW.status := NEW.conversation_status;
        ELSE
            NEW.conversation_status := NEW.status;
        END IF;
    ELSIF NEW.conversation_status IS DISTINCT FROM OLD.conversation_status THEN
        NEW.status := NEW.conversation_status;
    ELSE
        -- Also fills a row that the backfill has not reached.
        NEW.conversation_status := NEW.status;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER conversations_status_conversation_status_sync BEFORE INSERT OR UPDATE ON public.conversations
    FOR EACH ROW EXECUTE FUNCTION public.conversations_status_conversation_status_sync();
