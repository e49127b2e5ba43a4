-- 507_shadow_type
-- A tenant creates temporary types, with a check of their own, that shadow uuid, text, jsonb,
--   regrole.
-- safe: The check never runs as another role, or they may not create a type.
-- source: a decision of this schema: exploited on 15 and 18 where search_path was ''; CVE-2007-2138

-- as: ADMIN
-- expect: done, 42501
create function pg_temp.proof_spy(pg_catalog.text) returns boolean language plpgsql as $$
begin
    if current_user <> 'authenticated' then
        raise exception 'a tenant''s code runs as %', current_user using errcode = 'ZZ999';
    end if;
    return true;
end
$$;
create domain pg_temp.uuid as pg_catalog.text check (pg_temp.proof_spy(value));
create domain pg_temp.text as pg_catalog.text check (pg_temp.proof_spy(value));
create domain pg_temp.jsonb as pg_catalog.jsonb check (pg_temp.proof_spy(value::pg_catalog.text));
create domain pg_temp.user_role as pg_catalog.text check (pg_temp.proof_spy(value));
create domain pg_temp.regrole as pg_catalog.text check (pg_temp.proof_spy(value))

-- as: ADMIN
-- expect: own
set local search_path = pg_temp, pg_catalog, public, app, auth;
select distinct org_id from public.projects

-- as: ADMIN
-- expect: own
select distinct org_id from public.projects

-- as: ADMIN
-- expect: rows
set local search_path = pg_temp, pg_catalog, public, app, auth;
update public.projects set name = 'Renamed' where org_id = :'org' and id = :'project'

-- as: ADMIN
-- expect: rows
update public.workflows set status = 'approved' where org_id = :'org' and id = :'workflow'

-- as: ADMIN
-- expect: 42501
update public.users set roles = '{OWNER}' where org_id = :'org' and id = :'me'
