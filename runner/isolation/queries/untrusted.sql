-- What a session that could run programs on the server must not use, because another role decides what
-- it does: relations and functions of that role, and relations that lead to one of them by a view, a
-- policy, a trigger, a default, a check, an index, a type, a partition or a child. The code of a view
-- runs as the user who reads it, and can undo `set role`, so a superuser is a superuser there.
--
-- Trusted are superusers, this user, the owners of the database, of the migration tables, of `tables`,
-- and, with `schemas`, of schemas.
--
-- `shadows`: an operator, or a function with the name of one of PostgreSQL or of a trusted role, in a
-- schema of the default search_path: a statement or a function body may find it instead. So the
-- operators here compare values of one type.

with recursive trusted as (
    select r.oid
    from pg_catalog.pg_roles as r
    where r.rolsuper or r.rolname = session_user
    union
    select d.datdba
    from pg_catalog.pg_database as d
    where d.datname = current_database()
    union
    select n.nspowner
    from pg_catalog.pg_namespace as n
    where n.nspname = 'yoyo' or (%(schemas)s and n.nspname !~ '^pg_'::text)
    union
    select min(c.relowner::bigint)::oid
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    cross join unnest(%(tables)s::text[]) as named (name)
    where replace(named.name, '"'::text, ''::text)
        in (pg_catalog.concat(n.nspname, '.', c.relname), c.relname::text)
        and c.relkind in ('r', 'p', 'v', 'm', 'f')
    group by named.name
    having count(*) = 1
),

-- Objects of the first superuser are not in pg_shdepend.
owned (class, oid, owner) as materialized (
    select s.classid, s.objid, s.refobjid
    from pg_catalog.pg_shdepend as s
    where s.deptype = 'o'
        and s.dbid = (
            select d.oid
            from pg_catalog.pg_database as d
            where d.datname = current_database()
        )
        and s.refclassid = 'pg_catalog.pg_authid'::regclass::oid
        and s.refobjid not in (select trusted.oid from trusted)
),

-- The parts of a relation or domain that run when it is used.
parts (class, oid, of_class, of_oid) as (
    select
        'pg_catalog.pg_rewrite'::regclass::oid,
        w.oid,
        'pg_catalog.pg_class'::regclass::oid,
        w.ev_class
    from pg_catalog.pg_rewrite as w
    union all
    select 'pg_catalog.pg_policy'::regclass::oid, p.oid, 'pg_catalog.pg_class'::regclass::oid, p.polrelid
    from pg_catalog.pg_policy as p
    union all
    select 'pg_catalog.pg_trigger'::regclass::oid, t.oid, 'pg_catalog.pg_class'::regclass::oid, t.tgrelid
    from pg_catalog.pg_trigger as t
    where not t.tgisinternal
    union all
    select 'pg_catalog.pg_attrdef'::regclass::oid, d.oid, 'pg_catalog.pg_class'::regclass::oid, d.adrelid
    from pg_catalog.pg_attrdef as d
    union all
    select 'pg_catalog.pg_constraint'::regclass::oid, k.oid, 'pg_catalog.pg_class'::regclass::oid, k.conrelid
    from pg_catalog.pg_constraint as k
    where k.contype = 'c' and k.contypid = '0'::oid
    union all
    select 'pg_catalog.pg_constraint'::regclass::oid, k.oid, 'pg_catalog.pg_type'::regclass::oid, k.contypid
    from pg_catalog.pg_constraint as k
    where k.contype = 'c' and k.contypid <> '0'::oid
    union all
    select 'pg_catalog.pg_class'::regclass::oid, i.indexrelid, 'pg_catalog.pg_class'::regclass::oid, i.indrelid
    from pg_catalog.pg_index as i
),

leads (from_class, from_oid, class, oid) as materialized (
    select
        d.refclassid,
        d.refobjid,
        coalesce(parts.of_class, d.classid),
        coalesce(parts.of_oid, d.objid)
    from pg_catalog.pg_depend as d
    left join parts on parts.class = d.classid and parts.oid = d.objid
    where exists (select from owned)
    union all
    select
        'pg_catalog.pg_class'::regclass::oid,
        i.inhrelid,
        'pg_catalog.pg_class'::regclass::oid,
        i.inhparent
    from pg_catalog.pg_inherits as i
),

reached (class, oid, owner) as (
    select f.class, f.oid, f.owner
    from owned as f
    union
    select leads.class, leads.oid, reached.owner
    from reached
    inner join leads on leads.from_class = reached.class and leads.from_oid = reached.oid
)

select
    reached.oid::bigint,
    coalesce(c.oid::regclass::text, p.oid::regprocedure::text, o.oid::regoperator::text) as name,
    min(pg_catalog.pg_get_userbyid(reached.owner)::text) as owner,
    c.oid is not null as relation,
    coalesce(
        n.nspname in ('public', session_user)
        and (
            o.oid is not null
            or exists (
                select
                from pg_catalog.pg_proc as same
                where same.proname = p.proname
                    and same.oid <> p.oid
                    and same.proowner in (select trusted.oid from trusted)
            )
        ),
        false
    ) as shadows
from reached
left join pg_catalog.pg_class as c
    on reached.class = 'pg_catalog.pg_class'::regclass::oid
    and c.oid = reached.oid
    and c.relkind in ('r', 'p', 'v', 'm', 'f')
left join pg_catalog.pg_proc as p
    on reached.class = 'pg_catalog.pg_proc'::regclass::oid and p.oid = reached.oid
left join pg_catalog.pg_operator as o
    on reached.class = 'pg_catalog.pg_operator'::regclass::oid and o.oid = reached.oid
left join pg_catalog.pg_namespace as n on n.oid in (p.pronamespace, o.oprnamespace)
where coalesce(c.oid, p.oid, o.oid) is not null
group by reached.oid, c.oid, p.oid, p.proname, o.oid, n.nspname
order by relation desc, name
