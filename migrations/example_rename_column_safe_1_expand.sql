-- Description: Rename conversations.status to conversation_status (1 of 4: expand)
-- An example: its name has no version, so it is listed by `status -v` and never applied. To use it, copy it
-- under a name such as 20260102030405_rename_status_1_expand.sql, or let `lockkeeper create --from rename-column` write it.
-- From here on code may use `status` or `conversation_status`: the trigger keeps them equal.

-- UP MIGRATION
ALTER TABLE public.conversations
    ADD COLUMN conversation_status text;

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

ALTER TABLE public.conversations
    ADD CONSTRAINT conversations_conversation_status_not_null CHECK (conversation_status IS NOT NULL) NOT VALID;

-- DOWN MIGRATION (ROLLBACK)
DROP TRIGGER conversations_status_conversation_status_sync ON public.conversations;

DROP FUNCTION public.conversations_status_conversation_status_sync();

ALTER TABLE public.conversations
    DROP COLUMN conversation_status;
