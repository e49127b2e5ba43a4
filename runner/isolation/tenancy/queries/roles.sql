-- The roles that a caller can become: the roles of the actors, the logins without inheritance that
-- switch to them, and whatever any of these may become in turn.

with recursive actors as (
    select r.oid from pg_catalog.pg_roles as r where r.rolname = any (%(roles)s)
),

reached as (
    select actors.oid from actors
    union
    select login.oid
    from pg_catalog.pg_roles as login
    inner join pg_catalog.pg_auth_members as m on m.member = login.oid
    inner join actors on actors.oid = m.roleid
    where login.rolcanlogin and not login.rolinherit and not login.rolsuper
    union
    select m.roleid
    from reached
    inner join pg_catalog.pg_auth_members as m on m.member = reached.oid
)

select
    r.rolname::text as name,
    r.rolsuper or r.rolbypassrls as bypasses,
    r.rolname = any (%(roles)s) as declared,
    exists (
        select
        from pg_catalog.pg_class as c
        where c.oid = any (%(tables)s)
            and (
                pg_catalog.pg_has_role(r.oid, c.relowner, 'usage')
                or (
                    pg_catalog.has_schema_privilege(r.oid, c.relnamespace, 'usage')
                    and (
                        pg_catalog.has_table_privilege(r.oid, c.oid, 'delete, truncate')
                        or pg_catalog.has_any_column_privilege(r.oid, c.oid, 'select, insert, update')
                    )
                )
            )
    ) as reaches,
    coalesce(
        (
            select string_agg(format('%%I', member.rolname), ', ' order by member.rolname)
            from pg_catalog.pg_auth_members as m
            inner join pg_catalog.pg_roles as member on member.oid = m.member
            where m.roleid = r.oid and m.member in (select reached.oid from reached)
        ),
        ''
    ) as members
from reached
inner join pg_catalog.pg_roles as r on r.oid = reached.oid
order by r.rolname
