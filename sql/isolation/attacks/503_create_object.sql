-- 503_create_object
-- An API role creates a table, view, function or schema.
-- safe: Refused: they may not create objects anywhere.
-- source: CVE-2018-1058; https://www.postgresql.org/docs/current/ddl-schemas.html

-- as: OWNER, service_role, anon
-- expect: 42501
create table public.planted (id int)

-- as: OWNER, service_role, anon
-- expect: 42501
create view public.planted as select 1 as id

-- as: OWNER, service_role, anon
-- expect: 42501
create function public.planted() returns int language sql return 1

-- as: OWNER, service_role, anon
-- expect: 42501
create function app.caller_org(int) returns text language sql return 'x'

-- as: OWNER, service_role, anon
-- expect: 42501
create or replace function app.caller_org() returns text language sql as 'select null'

-- as: OWNER, service_role, anon
-- expect: 42501
create schema planted

-- as: OWNER, service_role, anon
-- expect: 42501
create domain public.text as pg_catalog.text
