-- Create the login of applications, and let it become these roles. It inherits none of their rights:
-- a statement before `set role` may do nothing. A role of this name that exists already keeps its
-- attributes. Not granted: roles that do not exist, or that administer the server. Safe to run again.
do $$
declare
    login constant name := {login};
    granted record;
begin
    if to_regrole(quote_ident(login)) is null then
        execute format('create role %I login noinherit', login);
    end if;

    for granted in
        select r.rolname
        from pg_catalog.pg_roles as r
        where r.rolname = any ({roles}::name[])
            and r.rolname <> login
            and not (r.rolsuper or r.rolcreaterole)
            and not exists (
                select from pg_catalog.pg_auth_members as m
                where m.roleid = r.oid and m.member = to_regrole(quote_ident(login))
            )
    loop
        execute format('grant %I to %I', granted.rolname, login);
    end loop;
end
$$
