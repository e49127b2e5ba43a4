-- 0001_create_auth_and_roles: rollback
-- Restore the revoked privileges. The roles stay, because the whole cluster shares them.

do $$
declare
    revoked record;
    revoker regrole;
begin
    if to_regclass('app.privileges_before') is null then
        return;
    end if;

    -- Default privileges belong to the role that set them, which may not be the current role.
    select relowner into revoker from pg_class where oid = 'app.privileges_before'::regclass;

    for revoked in select * from app.privileges_before
    loop
        if revoked.objects = 'database' then
            execute format(
                'grant %s on database %I to %s',
                revoked.privilege, current_database(), revoked.grantee
            );
        elsif revoked.objects = 'schema public' then
            execute format('grant %s on schema public to %s', revoked.privilege, revoked.grantee);
        else
            execute format(
                'alter default privileges for role %s %s grant %s on %s to %s %s',
                revoker, revoked.clause, revoked.privilege, revoked.objects, revoked.grantee,
                revoked.grant_option
            );
        end if;
    end loop;
end
$$;

drop table if exists app.privileges_before;
drop schema if exists app;

-- Drop only the stand-in: Supabase's own schema has another comment, or none.
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
