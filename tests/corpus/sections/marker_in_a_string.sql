select '
-- DOWN MIGRATION
';
