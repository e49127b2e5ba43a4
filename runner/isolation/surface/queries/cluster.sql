-- The facts of the surface that are not the schema's own: roles, memberships, settings, publications,
-- large objects, extensions, and how PostgreSQL's own objects differ from their initial state. The
-- columns are those of runner/schema/queries/catalog.sql. Run it under search_path = pg_catalog.
--
-- Left out, because each server has others: the owner of the schema, superusers without a
-- membership, a platform's roles, and the owners of other databases.
with recursive
{scope},
this_database as (
    select oid, datname from pg_database where datname = current_database()
),
trusted as (
    select r.oid
    from pg_roles as r
    where r.rolsuper
        or r.oid in (select me.oid from me union all select p.oid from platform_roles as p)
),
owners_elsewhere as (
    select d.refobjid as oid
    from pg_shdepend as d
    cross join this_database as this
    where d.refclassid = 'pg_authid'::regclass
        and d.deptype = 'o'
        and (
            d.dbid not in (0, this.oid)
            or (d.classid = 'pg_database'::regclass and d.objid <> this.oid)
        )
),
-- The roles that own something here, may use something, or have a policy. A superuser counts if
-- something was granted to it.
users_of_objects as (
    select distinct r.oid
    from pg_shdepend as d
    inner join pg_roles as r on r.oid = d.refobjid
    cross join this_database as this
    cross join me
    left join pg_policy as p on d.classid = 'pg_policy'::regclass and p.oid = d.objid
    left join pg_class as c
        on c.oid = case d.classid
            when 'pg_class'::regclass then d.objid when 'pg_policy'::regclass then p.polrelid
        end
    left join pg_proc as f on d.classid = 'pg_proc'::regclass and f.oid = d.objid
    left join pg_type as t on d.classid = 'pg_type'::regclass and t.oid = d.objid
    left join pg_namespace as n on d.classid = 'pg_namespace'::regclass and n.oid = d.objid
    left join pg_default_acl as a on d.classid = 'pg_default_acl'::regclass and a.oid = d.objid
    cross join lateral (
        select coalesce(
            c.relnamespace, f.pronamespace, t.typnamespace, n.oid, nullif(a.defaclnamespace, 0)
        ) as oid
    ) as place
    where d.refclassid = 'pg_authid'::regclass
        and (
            d.dbid = this.oid
            or (d.classid = 'pg_database'::regclass and d.objid = this.oid)
            or d.classid = 'pg_parameter_acl'::regclass
        )
        and (d.deptype in ('a', 'r') or (d.deptype = 'o' and not r.rolsuper))
        and (place.oid is null or place.oid in (select s.oid from schemas as s))
        and r.oid <> me.oid
        and r.oid not in (select q.oid from platform_roles as q)
    union
    select r.oid
    from pg_roles as r
    cross join this_database as this
    cross join me
    where r.oid <> me.oid
        and r.oid not in (select p.oid from platform_roles as p)
        and r.oid not in (select e.oid from owners_elsewhere as e)
        -- Who logs in as a superuser or to create roles administers the server; the roles of an API
        -- do not log in.
        and case
            when r.rolcanlogin then (r.rolbypassrls or r.rolreplication) and not r.rolsuper
            else r.rolbypassrls or r.rolreplication or r.rolsuper or r.rolcreaterole
                -- An API that switches to a role applies its settings.
                or exists (
                    select from pg_db_role_setting as s
                    where s.setrole = r.oid and s.setdatabase in (0, this.oid)
                )
        end
),
-- Those that may become one of them, the owner, an administrator of the server, or a predefined role
-- such as pg_read_all_data …
upward as (
    select u.oid, true as is_listed from users_of_objects as u
    union
    select r.oid, false
    from pg_roles as r
    where r.oid < 16384 or r.rolsuper or r.rolcreaterole
    union
    select me.oid, false from me
    union
    select m.member, true
    from upward as u
    inner join pg_auth_members as m on m.roleid = u.oid
    cross join me
    where m.member >= 16384
        and m.member <> me.oid
        and m.member not in (select p.oid from platform_roles as p)
        and (
            m.member not in (select e.oid from owners_elsewhere as e)
            or m.member in (select k.oid from users_of_objects as k)
        )
),
-- … and what these may become in turn.
downward as (
    select u.oid from upward as u where u.is_listed
    union
    select m.roleid
    from downward as d
    inner join pg_auth_members as m on m.member = d.oid
    cross join me
    where d.oid <> me.oid
),
listed_roles as (
    select r.*, quote_ident(r.rolname) as name
    from pg_roles as r
    cross join me
    where r.oid in (select d.oid from downward as d) and r.oid <> me.oid and r.oid >= 16384
),
memberships as (
    select
        m.roleid,
        m.member,
        bool_or(m.admin_option) as has_admin,
        -- Options of the membership since 16; before, INHERIT is an attribute of the member.
        bool_or(coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit)) as inherits,
        bool_or(coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)) as may_set
    from pg_auth_members as m
    inner join listed_roles as r on r.oid = m.member
    group by m.roleid, m.member
),
-- Objects that initdb or an extension made, with their privileges now and at first.
guarded as (
    select 'pg_proc'::regclass as class, p.oid, 0 as part, 'function' as kind,
        p.oid::regprocedure::text as name, p.proowner as owner, p.proacl as acl, 'f' as letter
    from pg_proc as p
    union all
    select 'pg_class'::regclass, c.oid, 0, case c.relkind when 'S' then 'sequence' else 'table' end,
        c.oid::regclass::text, c.relowner, c.relacl, case c.relkind when 'S' then 's' else 'r' end
    from pg_class as c
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select 'pg_class'::regclass, a.attrelid, a.attnum, 'column',
        format('%s.%I', a.attrelid::regclass, a.attname), c.relowner, a.attacl, 'c'
    from pg_attribute as a
    inner join pg_class as c on c.oid = a.attrelid
    where a.attacl is not null
    union all
    select 'pg_namespace'::regclass, n.oid, 0, 'schema', quote_ident(n.nspname), n.nspowner,
        n.nspacl, 'n'
    from pg_namespace as n
    where n.nspname <> 'public'
    union all
    select 'pg_type'::regclass, t.oid, 0, 'type', t.oid::regtype::text, t.typowner, t.typacl, 'T'
    from pg_type as t
    union all
    select 'pg_language'::regclass, l.oid, 0, 'language', quote_ident(l.lanname), l.lanowner,
        l.lanacl, 'l'
    from pg_language as l
    union all
    select 'pg_foreign_data_wrapper'::regclass, w.oid, 0, 'foreign data wrapper',
        quote_ident(w.fdwname), w.fdwowner, w.fdwacl, 'F'
    from pg_foreign_data_wrapper as w
),
not_initial as (
    select
        case when g.oid < 16384 then 'system ' else 'extension ' end || g.kind as kind,
        g.name,
        g.kind as thing,
        change.privilege,
        change.grantee,
        change.value
    from guarded as g
    left join pg_init_privs as i
        on i.classoid = g.class and i.objoid = g.oid and i.objsubid = g.part
    left join extension_members as e on e.classid = g.class and e.objid = g.oid
    cross join lateral (
        select
            lower(coalesce(now.privilege_type, first.privilege_type)) as privilege,
            coalesce(now.grantee, first.grantee) as grantee_oid,
            coalesce(quote_ident(r.rolname), 'public') as grantee,
            case
                when now.grantee is null then 'revoked'
                when now.is_grantable then 'with grant option'
                else ''
            end as value
        from aclexplode(coalesce(g.acl, acldefault(g.letter::"char", g.owner))) as now
        full join aclexplode(coalesce(i.initprivs, acldefault(g.letter::"char", g.owner))) as first
            on now.grantee = first.grantee and now.privilege_type = first.privilege_type
        left join pg_roles as r on r.oid = coalesce(now.grantee, first.grantee)
        where now.is_grantable is distinct from first.is_grantable
    ) as change
    where (g.oid < 16384 or e.objid is not null)
        and g.acl is distinct from i.initprivs
        and change.grantee_oid <> g.owner
        and change.grantee_oid not in (select t.oid from trusted as t)
        -- initdb grants these without recording it.
        and not (
            g.name ~ '^information_schema\.'
            and (change.privilege, change.grantee, change.value) = ('select', 'public', '')
        )
),
-- The last transaction of initdb that made an object of pg_catalog.
initdb as (
    select max(i.xmin::text::bigint) as xid from pg_init_privs as i where i.privtype = 'i'
),
facts (kind, name, trait, value, make, unmake) as (
    -- A role without any attribute is named where something is granted to it. INHERIT is a property
    -- of each membership.
    select
        'role', r.name, attribute.name, '', null::text, 'alter role ' || r.name || attribute.undo
    from listed_roles as r
    cross join lateral (
        values
        ('superuser', r.rolsuper, ' nosuperuser'),
        ('bypassrls', r.rolbypassrls, ' nobypassrls'),
        ('createrole', r.rolcreaterole, ' nocreaterole'),
        ('createdb', r.rolcreatedb, ' nocreatedb'),
        ('replication', r.rolreplication, ' noreplication'),
        ('login', r.rolcanlogin, ' nologin')
    ) as attribute (name, is_so, undo)
    where attribute.is_so
    union all
    select
        'membership',
        format(
            '%s to %I', case when g.oid = me.oid then '(owner)' else quote_ident(g.rolname) end,
            r.rolname
        ),
        option.name,
        '',
        null,
        format(option.undo, g.rolname, r.rolname)
    from memberships as m
    inner join pg_roles as g on g.oid = m.roleid
    inner join pg_roles as r on r.oid = m.member
    cross join me
    cross join lateral (
        values
        ('', true, 'revoke %I from %I'),
        ('admin', m.has_admin, 'revoke admin option for %I from %I'),
        ('inherit', m.inherits, 'grant %I to %I with inherit false'),
        ('set', m.may_set, 'grant %I to %I with set false')
    ) as option (name, is_so, undo)
    where option.is_so
    union all
    -- A setting with a secret is named, its value is not.
    select
        'setting',
        concat_ws(
            ' in ', case when s.setrole = 0 then 'all roles' else r.name end,
            case when s.setdatabase <> 0 then 'this database' end
        ),
        split_part(setting, '=', 1),
        case
            when split_part(setting, '=', 1)
                ~* 'secret|passw|token|credential|private|(access|api|role|signing)_?key'
                then '(not shown)'
            else regexp_replace(setting, '^[^=]*=', '')
        end,
        null,
        format(
            'alter %s reset %s',
            case
                when s.setrole = 0 and s.setdatabase <> 0 then format('database %I', this.datname)
                else concat_ws(
                    ' ', 'role', coalesce(r.name, 'all'),
                    case when s.setdatabase <> 0 then format('in database %I', this.datname) end
                )
            end,
            -- A custom setting has a name of two parts.
            array_to_string(
                array(
                    select quote_ident(part)
                    from unnest(string_to_array(split_part(setting, '=', 1), '.')) as part
                ),
                '.'
            )
        )
    from pg_db_role_setting as s
    cross join this_database as this
    left join listed_roles as r on r.oid = s.setrole
    cross join lateral unnest(s.setconfig) as setting
    where s.setdatabase in (0, this.oid) and (s.setrole = 0 or r.oid is not null)
    union all
    select
        'parameter', p.parname, format('%s to %s', lower(acl.privilege_type), its.grantee),
        case when acl.is_grantable then 'with grant option' else '' end, null,
        format('revoke %s on parameter %s from %s', acl.privilege_type, p.parname, its.grantee)
    from pg_parameter_acl as p
    cross join lateral aclexplode(p.paracl) as acl
    left join pg_roles as r on r.oid = acl.grantee
    cross join lateral (select coalesce(quote_ident(r.rolname), 'public') as grantee) as its
    where acl.grantee not in (select t.oid from trusted as t)
    union all
    select
        'publication', quote_ident(p.pubname), published.trait, published.value, null,
        case published.trait
            when 'all tables' then 'drop publication ' || quote_ident(p.pubname)
            else format('alter publication %I drop %s', p.pubname, published.trait)
        end
    from pg_publication as p
    cross join lateral (
        select 'all tables' as trait, '' as value
        where p.puballtables
        union all
        select 'tables in schema ' || s.pnnspid::regnamespace, ''
        from pg_publication_namespace as s
        where s.pnpubid = p.oid
        union all
        select
            'table ' || r.prrelid::regclass,
            concat_ws(
                ' ',
                (
                    select '(' || string_agg(quote_ident(a.attname), ', ' order by a.attnum) || ')'
                    from pg_attribute as a
                    where a.attrelid = r.prrelid and a.attnum = any (r.prattrs::int2[])
                ),
                'where ' || pg_get_expr(r.prqual, r.prrelid)
            )
        from pg_publication_rel as r
        where r.prpubid = p.oid
    ) as published
    union all
    select
        'subscription', quote_ident(s.subname), 'to', array_to_string(s.subpublications, ', '),
        null, format('alter subscription %I disable', s.subname)
    from pg_subscription as s
    inner join this_database as this on this.oid = s.subdbid
    union all
    -- Large objects are rows, so they are not listed one by one.
    select distinct
        'large objects', 'some', format('%s to %s', lower(acl.privilege_type), its.grantee), '',
        null, null
    from pg_largeobject_metadata as l
    cross join lateral aclexplode(l.lomacl) as acl
    left join pg_roles as r on r.oid = acl.grantee
    cross join lateral (select coalesce(quote_ident(r.rolname), 'public') as grantee) as its
    where acl.grantee <> l.lomowner and acl.grantee not in (select t.oid from trusted as t)
    union all
    select distinct 'large objects', 'some', 'owner', quote_ident(r.rolname), null, null
    from pg_largeobject_metadata as l
    inner join pg_roles as r on r.oid = l.lomowner
    where l.lomowner not in (select t.oid from trusted as t)
    union all
    -- Those in schemas of users are in the catalog's facts.
    select 'extension', quote_ident(e.extname), '', '', null, null
    from pg_extension as e
    where e.oid >= 16384
        and e.extnamespace not in (select s.oid from schemas as s where s.is_users)
    union all
    -- What an extension contains is left out elsewhere, and anything can be added to it.
    select
        'extension contents', quote_ident(e.extname), format('%s %s', o.type, o.identity), '', null,
        format('alter extension %I drop %s %s', e.extname, o.type, o.identity)
    from pg_depend as d
    inner join pg_extension as e on e.oid = d.refobjid
    left join pg_class as c on d.classid = 'pg_class'::regclass and c.oid = d.objid
    cross join lateral pg_identify_object(d.classid, d.objid, 0) as o
    where d.deptype = 'e'
        and d.refclassid = 'pg_extension'::regclass
        and e.extowner not in (select p.oid from platform_roles as p)
        and (d.classid = 'pg_namespace'::regclass or c.relkind in ('r', 'p', 'v', 'm', 'f'))
    union all
    select
        n.kind, n.name, format('%s to %s', n.privilege, n.grantee), n.value, null,
        case n.value
            when 'revoked' then
                format('grant %s on %s %s to %s', n.privilege, n.thing, n.name, n.grantee)
            else format('revoke %s on %s %s from %s', n.privilege, n.thing, n.name, n.grantee)
        end
    from not_initial as n
    where n.thing <> 'column'
    union all
    select n.kind, n.name, format('%s to %s', n.privilege, n.grantee), n.value, null, null
    from not_initial as n
    where n.thing = 'column'
    union all
    -- None of PostgreSQL's own functions is a definer or has settings, and each that is leakproof
    -- was made so while initdb loaded the catalog, in transaction 1. Those in SQL have parsed bodies.
    select
        'system function', f.oid::regprocedure::text, altered.trait, altered.value, null,
        'alter function ' || f.oid::regprocedure || ' ' || altered.undo
    from pg_proc as f
    inner join pg_language as l on l.oid = f.prolang
    cross join initdb
    cross join lateral (
        values
        (
            'leakproof', case when f.proleakproof and f.xmin <> '1'::xid then '' end,
            'not leakproof'
        ),
        ('security', case when f.prosecdef then 'definer' end, 'security invoker'),
        ('set', array_to_string(f.proconfig, '; '), 'reset all'),
        (
            'body', case
                when l.lanname not in ('c', 'internal', 'sql')
                    or (l.lanname = 'sql' and f.prosqlbody is null and f.xmin <> '1'::xid)
                    then f.prosrc
            end,
            null
        ),
        -- One that is changed after initdb, not by a privilege, may be planned for another tenant.
        (
            'volatility',
            case
                when f.provolatile = 'i' and f.proacl is null and f.xmin::text::bigint > initdb.xid
                    then 'immutable'
            end,
            null
        )
    ) as altered (trait, value, undo)
    where f.oid < 16384
        and altered.value is not null
        and f.pronamespace = 'pg_catalog'::regnamespace
    union all
    select
        'extension function', f.oid::regprocedure::text, altered.trait, altered.value, null, null
    from pg_proc as f
    inner join extension_members as e on e.classid = 'pg_proc'::regclass and e.objid = f.oid
    cross join lateral (
        values
        ('leakproof', case when f.proleakproof then '' end),
        ('security', case when f.prosecdef then 'definer' end)
    ) as altered (trait, value)
    where altered.value is not null
    union all
    -- The database and `public` may also belong to a superuser, and `public` to the database's owner.
    select
        o.kind, o.name, 'owner', quote_ident(r.rolname), null,
        format('alter %s owner to %I', o.thing, me.rolname)
    from (
        select 'database', 'this', d.datdba, format('database %I', d.datname)
        from pg_database as d
        inner join this_database as this on this.oid = d.oid
        union all
        select 'schema', 'public', n.nspowner, 'schema public'
        from pg_namespace as n
        where n.nspname = 'public'
    ) as o (kind, name, owner, thing)
    inner join pg_roles as r on r.oid = o.owner
    cross join me
    where not r.rolsuper and r.oid <> me.oid and r.rolname <> 'pg_database_owner'
    union all
    select
        'database', 'this', 'template', '', null,
        format('alter database %I is_template false', d.datname)
    from pg_database as d
    inner join this_database as this on this.oid = d.oid
    where d.datistemplate
    union all
    select
        'system table', c.oid::regclass::text, view.trait, view.value, null, null
    from pg_class as c
    inner join pg_rewrite as w on w.ev_class = c.oid
    cross join initdb
    cross join lateral (
        values
        ('body', case when w.xmin::text::bigint > initdb.xid then pg_get_viewdef(c.oid) end),
        (
            'options',
            case
                when (c.relname ~ '^pg_stats(_ext(_exprs)?)?$')
                    <> (coalesce(c.reloptions, '{}') @> '{security_barrier=true}')
                    then coalesce(array_to_string(c.reloptions, ', '), 'none')
            end
        )
    ) as view (trait, value)
    where c.oid < 16384 and c.relnamespace = 'pg_catalog'::regnamespace and view.value is not null
    union all
    -- Updates of the catalog itself.
    select 'system ' || o.type, o.identity, 'changed', '', null, null
    from (
        select 'pg_cast'::regclass, c.oid
        from pg_cast as c
        cross join initdb
        where c.oid < 16384 and c.xmin::text::bigint > initdb.xid
        union all
        select 'pg_language'::regclass, l.oid
        from pg_language as l
        where l.lanpltrusted and l.lanname in ('c', 'internal')
    ) as changed (class, oid)
    cross join lateral pg_identify_object(changed.class, changed.oid, 0) as o
    union all
    -- The owner of what initdb made is recorded if it is another than at first. Owners of what users
    -- made are in the catalog's facts, except of the migration tables and of rare kinds.
    select
        case when d.objid < 16384 then 'system ' else '' end || its.kind, its.name, 'owner',
        quote_ident(r.rolname), null,
        format(
            'alter %s %s owner to %I', its.kind, its.name,
            case when d.objid < 16384 then first.rolname else me.rolname end
        )
    from pg_shdepend as d
    cross join this_database as this
    cross join me
    inner join pg_roles as r on r.oid = d.refobjid
    inner join pg_roles as first on first.oid = 10
    cross join lateral pg_identify_object(d.classid, d.objid, 0) as o
    cross join lateral (
        select
            case o.type when 'view' then 'table' else o.type end as kind,
            case d.classid
                when 'pg_class'::regclass then d.objid::regclass::text
                when 'pg_operator'::regclass then d.objid::regoperator::text
                when 'pg_proc'::regclass then d.objid::regprocedure::text
                when 'pg_type'::regclass then d.objid::regtype::text
                else o.identity
            end as name
    ) as its
    where d.dbid = this.oid
        and d.refclassid = 'pg_authid'::regclass
        and d.deptype = 'o'
        and r.oid not in (select t.oid from trusted as t)
        and d.classid <> 'pg_largeobject'::regclass
        and (o.type, o.identity) <> ('schema', 'public')
        and (
            d.objid < 16384
            or (
                d.classid in ('pg_class'::regclass, 'pg_namespace'::regclass)
                and coalesce(o.schema, o.identity) in (
                    select s.nspname from schemas as s where not s.is_users and s.first_oid = 0
                )
            )
            or d.classid in (
                'pg_collation'::regclass, 'pg_conversion'::regclass, 'pg_language'::regclass,
                'pg_opclass'::regclass, 'pg_operator'::regclass, 'pg_opfamily'::regclass,
                'pg_publication'::regclass, 'pg_ts_config'::regclass, 'pg_ts_dict'::regclass
            )
        )
    union all
    -- Tablespaces are the server's, so only what the roles of this database have.
    select
        'tablespace', quote_ident(t.spcname), format('create to %s', its.grantee),
        case when acl.is_grantable then 'with grant option' else '' end, null,
        format('revoke create on tablespace %I from %s', t.spcname, its.grantee)
    from pg_tablespace as t
    cross join lateral aclexplode(t.spcacl) as acl
    left join listed_roles as r on r.oid = acl.grantee
    cross join lateral (select coalesce(r.name, 'public') as grantee) as its
    where acl.grantee <> t.spcowner and (r.oid is not null or acl.grantee = 0)
    union all
    select 'tablespace', quote_ident(t.spcname), 'owner', r.name, null, null
    from pg_tablespace as t
    inner join listed_roles as r on r.oid = t.spcowner
    union all
    -- What the server's configuration sets for every session, of what decides access.
    select 'server setting', s.name, 'value', s.reset_val, null, null
    from pg_settings as s
    cross join this_database as this
    where s.name in (
            'allow_system_table_mods', 'event_triggers', 'lo_compat_privileges', 'row_security',
            'session_replication_role', 'transform_null_equals'
        )
        and s.reset_val <> s.boot_val
        -- Those of roles and databases are above.
        and not exists (
            select from pg_db_role_setting as d
            cross join lateral unnest(d.setconfig) as setting
            where d.setdatabase in (0, this.oid)
                and d.setrole in (0, quote_ident(session_user)::regrole)
                and split_part(setting, '=', 1) = s.name
        )
)
select kind, name, trait, value, null as of, make, unmake
from facts
order by kind collate "C", name collate "C", trait collate "C", value collate "C"
