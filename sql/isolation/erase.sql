-- What `tenant erase` runs first, in its transaction: ask to delete rows of the audit log, as the
-- comment on app.keep_audit() says.
select set_config('app.audit_retention', pg_current_xact_id()::text, true);
