-- 0001_prepare_citus: rollback
-- Remove the logins that the migration added.

do $$
declare
    api_role name;
begin
    if to_regclass('app.logins_before') is null then
        return;
    end if;

    for api_role in select rolname from app.logins_before
    loop
        execute format('alter role %I nologin', api_role);
    end loop;
end
$$;

drop table if exists app.logins_before;
drop function if exists app.protect_nodes();
