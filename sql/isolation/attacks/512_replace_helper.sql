-- 512_replace_helper
-- An API role overloads, replaces or takes over a helper that policies call.
-- safe: Refused: they may not create functions, and own none.
-- source: CVE-2018-1058; https://www.postgresql.org/docs/current/ddl-schemas.html

-- as: OWNER, service_role, anon
-- expect: 42501
create function app.caller_org(int) returns text language sql return 'x'

-- as: OWNER, service_role, anon
-- expect: 42501
create or replace function app.caller_org() returns text language sql as 'select null'

-- as: OWNER, service_role, anon
-- expect: 42501
alter function app.caller_org() owner to current_user
