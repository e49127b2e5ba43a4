-- 503_create_object
-- An API role creates a table, view, function or schema.
-- safe: Refused: they may not create objects anywhere.
-- source: CVE-2018-1058; https://www.postgresql.org/docs/current/ddl-schemas.html

-- as: one member, platform, anonymous
-- expect: 42501
create table public.planted (id int)

-- as: one member, platform, anonymous
-- expect: 42501
create view public.planted as select 1 as id

-- as: one member, platform, anonymous
-- expect: 42501
create function public.planted() returns int language sql return 1

-- as: one member, platform, anonymous
-- expect: 42501
create schema planted

-- as: one member, platform, anonymous
-- expect: 42501
create domain public.text as pg_catalog.text
