-- Helpers that do a part of what app.caller_org() does, and other ways to write it, in schema bench.

create function bench.constant()
returns text language plpgsql stable parallel safe
as $$ begin return 'corg000000000000000000500'; end $$;

create function bench.constant_definer()
returns text language plpgsql stable parallel safe security definer
set search_path = pg_catalog, pg_temp
as $$ begin return 'corg000000000000000000500'; end $$;

create function bench.claims_only()
returns text language plpgsql stable parallel safe security definer
set search_path = pg_catalog, pg_temp
as $$
declare caller text := auth.uid();
begin return 'corg000000000000000000500'; end
$$;

create function bench.lookup_only()
returns text language plpgsql stable parallel safe security definer
set search_path = pg_catalog, pg_temp
as $$
declare caller text := '00000000-0000-0000-0000-0000000005dc';
begin
    return (select org_id from public.users where auth_user_id::text = caller limit 2);
end
$$;

create function bench.no_search_path()
returns text language plpgsql stable parallel safe security definer
as $$
declare caller text := auth.uid();
begin
    return (select org_id from public.users where auth_user_id::text = caller limit 2);
end
$$;

create function bench.select_into()
returns text language plpgsql stable parallel safe security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    caller text := auth.uid();
    org text;
begin
    select org_id into org from public.users where auth_user_id::text = caller limit 2;
    return org;
end
$$;

create function bench.one_query()
returns text language plpgsql stable parallel safe security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select org_id from public.users where auth_user_id::text = auth.uid()::text limit 2);
end
$$;

create function bench.sql_body()
returns text language sql stable parallel safe security definer
begin atomic
    select org_id from public.users where auth_user_id::text = auth.uid()::text limit 2;
end;

-- A cast to jsonb instead of json: one pass over the text instead of two.
create function bench.claims_as_jsonb()
returns text language plpgsql stable parallel safe security definer
set search_path = pg_catalog, pg_temp
as $$
declare caller text := (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid;
begin
    return (select org_id from public.users where auth_user_id::text = caller limit 2);
end
$$;

grant execute on all functions in schema bench to authenticated;
