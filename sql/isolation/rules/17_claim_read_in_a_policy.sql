-- 17_claim_read_in_a_policy
-- A policy that reads the token or a setting directly: auth.jwt(), auth.uid(), current_setting().
-- source: sql/0009_enable_row_level_security.sql;
--   https://supabase.com/docs/guides/database/database-linter?lint=0015_rls_references_user_metadata
-- why: Claims become outdated, and users write some of them; a helper reads the users row instead.

select
    c.title as object,
    format('its %s reads the token or a setting: %s', c.clause, c.text) as problem,
    c.fix as fix
from written_condition as c
where c.text ~* '\m(auth\.\w+\(|current_setting\(|jwt|session_user|current_user)'
