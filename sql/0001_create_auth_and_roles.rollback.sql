-- 0001_create_auth_and_roles, the way back
-- Returns every privilege that was taken; the roles stay, for they belong to the whole cluster.

do $$
declare
    taken record;
    taker regrole;
begin
    if to_regclass('app.privileges_before') is null then
        return;
    end if;

    -- Default privileges bind the role that set them, which need not be the one rolling back.
    select relowner into taker from pg_class where oid = 'app.privileges_before'::regclass;

    for taken in select * from app.privileges_before
    loop
        if taken.objects = 'database' then
            execute format(
                'grant %s on database %I to %s',
                taken.privilege, current_database(), taken.grantee
            );
        elsif taken.objects = 'schema public' then
            execute format('grant %s on schema public to %s', taken.privilege, taken.grantee);
        else
            execute format(
                'alter default privileges for role %s %s grant %s on %s to %s %s',
                taker, taken.clause, taken.privilege, taken.objects, taken.grantee,
                taken.grant_option
            );
        end if;
    end loop;
end
$$;

drop table if exists app.privileges_before;
drop schema if exists app;

-- Only the stand-in: a Supabase's own schema carries another comment, or none.
do $$
begin
    if obj_description(to_regnamespace('auth'), 'pg_namespace')
        = 'Stand-in for Supabase''s schema auth, made by 0001_create_auth_and_roles.'
    then
        drop function if exists auth.role();
        drop function if exists auth.uid();
        drop function if exists auth.jwt();
        drop schema auth;
    end if;
end
$$;
