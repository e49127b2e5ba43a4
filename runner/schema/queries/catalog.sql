-- The catalog as facts: one row for each property of each object that is not built in. Run it under
-- the settings of snapshot.py, so that every name is qualified.
--
--   kind, name   the object: 'column', 'public.notes.status'
--   of           the table it belongs to and is dropped with, if any
--   trait        the property; '' for the existence of the object
--   value        its value
--   make         the statement that creates or sets it, where a single one is certain to
--   unmake       the statement that removes it, where that loses no data
--
-- What lies between the comments `begin` and `end` is left out where only relations, functions and types
-- are read again: preflight/catalog_changes.py.
--
-- Left out: objects of extensions and of a platform such as Supabase, and of the migration tables all
-- but their privileges and what was added to them. What depends on the owner is reported relative to
-- it: an owner only where it differs from the main one, FORCE only where it is not what the owner
-- requires, privileges only of roles other than the owner.
with
{scope},
relations as (
    select
        c.*,
        s.name || '.' || quote_ident(c.relname) as name,
        case c.relkind
            when 'r' then 'table' when 'p' then 'table' when 'v' then 'view'
            when 'm' then 'materialized view' when 'f' then 'foreign table' else 'sequence'
        end as kind,
        (
            select d.refobjid::regclass::text
            from pg_depend as d
            where d.classid = 'pg_class'::regclass
                and d.objid = c.oid
                and d.deptype = 'a'
                and c.relkind = 'S'
                and d.refclassid = 'pg_class'::regclass
        ) as of
    from pg_class as c
    inner join schemas as s on s.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        and c.oid >= s.first_oid
        and not exists (
            select from pg_depend as d
            where d.classid = 'pg_class'::regclass
                and d.objid = c.oid
                and (d.deptype = 'e' or (d.deptype = 'i' and c.relkind = 'S'))
        )
),
columns as (
    select
        a.*,
        r.name as relation,
        r.kind as relation_kind,
        r.relowner,
        r.relispartition,
        r.name || '.' || quote_ident(a.attname) as name,
        quote_ident(a.attname) as ident
    from relations as r
    inner join pg_attribute as a
        on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    where r.relkind <> 'S'
),
functions as (
    select
        p.*,
        case s.nspname when 'pg_catalog' then 'pg_catalog.' else '' end
            || p.oid::regprocedure::text as name,
        case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end
            as kind
    from pg_proc as p
    inner join schemas as s on s.oid = p.pronamespace
    where p.oid >= s.first_oid
        and not exists (
            select from extension_members as e
            where e.classid = 'pg_proc'::regclass and e.objid = p.oid
        )
        -- The constructors of a range type come and go with it.
        and not exists (
            select from pg_depend as d
            where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'i'
        )
),
types as (
    select t.*, s.name || '.' || quote_ident(t.typname) as name
    from pg_type as t
    inner join schemas as s on s.oid = t.typnamespace
    left join pg_class as c on c.oid = t.typrelid
    where (t.typtype in ('e', 'd', 'r') or (t.typtype = 'c' and c.relkind = 'c'))
        and t.oid >= s.first_oid
        and not exists (
            select from extension_members as e
            where e.classid = 'pg_type'::regclass and e.objid = t.oid
        )
),
constraints as (
    select
        k.*,
        o.name as relation,
        o.name || '.' || quote_ident(k.conname) as name,
        format('alter %s %s', o.kind, o.name) as alter
    from (
        select r.oid, 0, 'table', r.name from relations as r
        union all
        select 0, t.oid, 'domain', t.name from types as t
    ) as o (conrelid, contypid, kind, name)
    inner join pg_constraint as k on k.conrelid = o.conrelid and k.contypid = o.contypid
    -- PostgreSQL 18 also stores NOT NULL as constraints; here it is a property of the column.
    where k.contype not in ('n', 't')
),
indexes as (
    select
        i.*,
        r.name as relation,
        c.relkind = 'I' as is_partitioned,
        n.nspname,
        quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name
    from pg_index as i
    inner join relations as r on r.oid = i.indrelid
    inner join pg_class as c on c.oid = i.indexrelid
    inner join pg_namespace as n on n.oid = c.relnamespace
    where not exists (
        select from pg_constraint as k
        where k.conrelid = i.indrelid and k.conindid = i.indexrelid and k.contype <> 'f'
    )
),
triggers as (
    select
        t.*,
        r.name as relation,
        r.name || '.' || quote_ident(t.tgname) as name,
        parent.tgenabled as parents
    from pg_trigger as t
    inner join relations as r on r.oid = t.tgrelid
    left join pg_trigger as parent on parent.oid = t.tgparentid
    where not t.tgisinternal and (parent.oid is null or parent.tgenabled <> t.tgenabled)
),
policies as (
    select
        p.*,
        r.name as relation,
        r.name || '.' || quote_ident(p.polname) as name,
        case p.polcmd
            when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
            when 'd' then 'delete' else 'all'
        end as command,
        (
            select string_agg(
                case role when 0 then 'public' else role::regrole::text end, ', '
                order by case role when 0 then 'public' else role::regrole::text end collate "C"
            )
            from unnest(p.polroles) as role
        ) as roles,
        pg_get_expr(p.polqual, p.polrelid) as condition,
        pg_get_expr(p.polwithcheck, p.polrelid) as demand
    from pg_policy as p
    inner join relations as r on r.oid = p.polrelid
),
-- What belongs to no schema may be an administrator's. It is told apart, because files do not make it.
others (oid, suffix) as (
    select r.oid, case when r.oid <> me.oid then ' of another role' else '' end
    from pg_roles as r
    cross join me
),
-- Options of foreign objects; those that may be secrets are named, their values are not shown.
foreign_options (class, oid, part, shown) as (
    select
        o.class, o.oid, o.part, (
            select string_agg(
                case
                    when option ~* '^[^=]*(secret|passw|token|key|credential|private)'
                        then split_part(option, '=', 1) || '=(not shown)'
                    else option
                end,
                ', '
            )
            from unnest(o.options) as option
        )
    from (
        select 'pg_foreign_server'::regclass, s.oid, 0, s.srvoptions from pg_foreign_server as s
        union all
        select 'pg_foreign_table'::regclass, f.ftrelid, 0, f.ftoptions from pg_foreign_table as f
        union all
        select 'pg_foreign_table'::regclass, a.attrelid, a.attnum, a.attfdwoptions
        from pg_foreign_table as f
        inner join pg_attribute as a on a.attrelid = f.ftrelid and a.attfdwoptions is not null
        union all
        select 'pg_foreign_data_wrapper'::regclass, w.oid, 0, w.fdwoptions
        from pg_foreign_data_wrapper as w
        union all
        select 'pg_user_mapping'::regclass, u.umid, 0, u.umoptions
        from pg_user_mappings as u
        where u.umuser = 0
    ) as o (class, oid, part, options)
),
-- Every object with privileges: kind and name as above, and as GRANT spells them.
guarded (kind, name, of, owner, acl, target, wanted) as (
    -- The sequence of an identity column belongs to it, but may have privileges of its own.
    select
        'sequence', s.name || '.' || quote_ident(c.relname), d.refobjid::regclass::text,
        c.relowner, c.relacl, format('sequence %s.%I', s.name, c.relname), null::text[]
    from pg_class as c
    inner join schemas as s on s.oid = c.relnamespace
    inner join pg_depend as d
        on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'i'
    where c.relkind = 'S' and c.relacl is not null and c.oid >= s.first_oid
    union all
    select
        r.kind, r.name, r.of, r.relowner, coalesce(
            r.relacl,
            acldefault((case r.relkind when 'S' then 's' else 'r' end)::"char", r.relowner)
        ),
        case r.relkind when 'S' then 'sequence ' else '' end || r.name, null
    from relations as r
    union all
    select
        'column', c.name, c.relation, c.relowner, c.attacl, format(' (%s) on %s', c.ident, c.relation),
        null
    from columns as c
    where c.attacl is not null
    union all
    -- ctid and the like, which tell how many rows there are.
    select
        'column', format('%s.%I', r.name, a.attname), r.name, r.relowner, a.attacl,
        format(' (%I) on %s', a.attname, r.name), null
    from relations as r
    inner join pg_attribute as a on a.attrelid = r.oid
    where a.attnum < 0 and a.attacl is not null
    union all
    select
        f.kind, f.name, null, f.proowner, coalesce(f.proacl, acldefault('f', f.proowner)),
        case f.prokind when 'p' then 'procedure ' else 'function ' end || f.name, null
    from functions as f
    union all
    select
        'type', t.name, null, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner)),
        'type ' || t.name, null
    from types as t
    -- begin: of no relation, function or type
    union all
    -- Who may connect is decided where the database runs. TEMPORARY is PUBLIC's by default, and only
    -- a member of the database's owner can revoke it.
    select
        'database', 'this', null, d.datdba, coalesce(d.datacl, acldefault('d', d.datdba)),
        'database ' || quote_ident(d.datname),
        array['CREATE', 'TEMPORARY']
    from pg_database as d
    where d.datname = current_database()
    union all
    -- USAGE on `public` is decided by the platform, CREATE is not.
    select
        'schema', s.name, null, s.nspowner, coalesce(s.nspacl, acldefault('n', s.nspowner)),
        'schema ' || s.name, case s.nspname when 'public' then array['CREATE'] end
    from schemas as s
    where s.first_oid = 0
    union all
    select
        'foreign data wrapper' || others.suffix, quote_ident(w.fdwname), null, w.fdwowner, w.fdwacl,
        'foreign data wrapper ' || quote_ident(w.fdwname), null
    from pg_foreign_data_wrapper as w
    inner join others on others.oid = w.fdwowner
    where w.oid not in (select e.objid from extension_members as e)
    union all
    select
        'server' || others.suffix, quote_ident(s.srvname), null, s.srvowner, s.srvacl,
        'foreign server ' || quote_ident(s.srvname), null
    from pg_foreign_server as s
    inner join others on others.oid = s.srvowner
    -- end: of no relation, function or type
),
privileges as (
    select
        g.kind,
        g.name,
        g.of,
        lower(acl.privilege_type) as privilege,
        case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end as grantee,
        bool_or(acl.is_grantable) as is_grantable,
        case g.kind when 'column' then g.target else ' on ' || g.target end as target
    from guarded as g
    cross join lateral aclexplode(g.acl) as acl
    cross join me
    where acl.grantee <> g.owner
        and acl.grantee <> me.oid
        and (g.wanted is null or acl.privilege_type = any (g.wanted))
        and not (g.name = 'public' and acl.grantee = 'pg_database_owner'::regrole)
        and not (
            (g.kind, acl.grantee, acl.privilege_type) = ('database', 0, 'TEMPORARY')
            and not pg_has_role(me.oid, g.owner, 'usage')
        )
    group by 1, 2, 3, 4, 5, 7
),
-- Default privileges: which roles get access to the owner's next object.
default_privileges as (
    select
        kind.objects || coalesce(' in ' || place.name, '') as name,
        lower(acl.privilege_type) as privilege,
        case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end as grantee,
        coalesce(' in schema ' || place.name, '') as clause,
        kind.objects,
        '' as suffix
    from me
    cross join (
        values ('r', 'r', 'tables'), ('S', 's', 'sequences'), ('f', 'f', 'functions'),
        ('T', 'T', 'types'), ('n', 'n', 'schemas'), ('L', 'L', 'large objects')
    ) as kind (letter, default_letter, objects)
    cross join (
        select 0::oid as oid, null::text as name
        union all
        select s.oid, s.name from schemas as s
    ) as place
    left join pg_default_acl as d
        on d.defaclrole = me.oid
        and d.defaclnamespace = place.oid
        and d.defaclobjtype = kind.letter::"char"
    cross join lateral aclexplode(
        coalesce(
            d.defaclacl,
            case when place.oid = 0 then acldefault(kind.default_letter::"char", me.oid) end
        )
    ) as acl
    where acl.grantee <> me.oid
    union all
    -- Other roles may own tables too, or will.
    select
        kind.objects || coalesce(' in ' || place.name, '') || ' of ' || quote_ident(r.rolname),
        lower(acl.privilege_type),
        case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end,
        format(' for role %I', r.rolname) || coalesce(' in schema ' || place.name, ''),
        kind.objects,
        ' of another role'
    from pg_default_acl as d
    inner join pg_roles as r on r.oid = d.defaclrole
    left join schemas as place on place.oid = d.defaclnamespace
    inner join (
        values ('r', 'tables'), ('S', 'sequences'), ('f', 'functions'), ('T', 'types'),
        ('n', 'schemas'), ('L', 'large objects')
    ) as kind (letter, objects) on kind.letter::"char" = d.defaclobjtype
    cross join lateral aclexplode(d.defaclacl) as acl
    cross join me
    where r.oid <> me.oid
        and r.oid not in (select p.oid from platform_roles as p)
        and (place.oid is not null or d.defaclnamespace = 0)
        and acl.grantee not in (r.oid, me.oid)
),
owned (kind, name, of, owner, alter) as (
    select r.kind, r.name, r.of, r.relowner, r.kind || ' ' || r.name from relations as r
    union all
    select f.kind, f.name, null, f.proowner, f.kind || ' ' || f.name from functions as f
    union all
    select 'type', t.name, null, t.typowner, 'type ' || t.name from types as t
    -- begin: of no relation, function or type
    union all
    select 'schema', s.name, null, s.nspowner, 'schema ' || s.name
    from schemas as s
    where s.is_users and s.nspname <> 'public'
    -- end: of no relation, function or type
),
-- A join, because obj_description runs a query for each object.
comments as (
    select d.objoid, d.classoid, d.objsubid, d.description
    from pg_description as d
    where d.objoid >= 16384
),
described (kind, name, of, comment, target) as (
    select r.kind, r.name, r.of, d.description, r.kind || ' ' || r.name
    from relations as r
    inner join comments as d on d.objoid = r.oid and d.classoid = 'pg_class'::regclass and d.objsubid = 0
    union all
    select 'column', c.name, c.relation, d.description, 'column ' || c.name
    from columns as c
    inner join comments as d
        on d.objoid = c.attrelid and d.classoid = 'pg_class'::regclass and d.objsubid = c.attnum
    union all
    select f.kind, f.name, null, d.description, f.kind || ' ' || f.name
    from functions as f
    inner join comments as d on d.objoid = f.oid and d.classoid = 'pg_proc'::regclass
    union all
    select 'type', t.name, null, d.description, 'type ' || t.name
    from types as t
    inner join comments as d on d.objoid = t.oid and d.classoid = 'pg_type'::regclass
    union all
    select
        'constraint', k.name, k.relation, d.description, format(
            'constraint %I on %s%s', k.conname, case when k.conrelid = 0 then 'domain ' end,
            k.relation
        )
    from constraints as k
    inner join comments as d on d.objoid = k.oid and d.classoid = 'pg_constraint'::regclass
    union all
    select 'index', i.name, i.relation, d.description, 'index ' || i.name
    from indexes as i
    inner join comments as d on d.objoid = i.indexrelid and d.classoid = 'pg_class'::regclass and d.objsubid = 0
    union all
    select
        'trigger', t.name, t.relation, d.description, format('trigger %I on %s', t.tgname, t.relation)
    from triggers as t
    inner join comments as d on d.objoid = t.oid and d.classoid = 'pg_trigger'::regclass
    union all
    select
        'policy', p.name, p.relation, d.description, format('policy %I on %s', p.polname, p.relation)
    from policies as p
    inner join comments as d on d.objoid = p.oid and d.classoid = 'pg_policy'::regclass
    -- begin: of no relation, function or type
    union all
    select 'schema', s.name, null, d.description, 'schema ' || s.name
    from schemas as s
    inner join pg_description as d on d.objoid = s.oid and d.classoid = 'pg_namespace'::regclass
    where s.is_users and (s.nspname <> 'public' or d.description <> 'standard public schema')
    union all
    -- Of the kinds below, which are rare.
    select
        its.kind || coalesce(others.suffix, ''), its.name, null, d.description,
        format('%s %s', its.kind, regexp_replace(o.identity, '^(for .*) on (language .*)', '\1 \2'))
    from comments as d
    left join (
        select 'pg_event_trigger'::regclass, t.oid, t.evtowner from pg_event_trigger as t
        union all
        select 'pg_publication'::regclass, p.oid, p.pubowner from pg_publication as p
        union all
        select 'pg_foreign_server'::regclass, s.oid, s.srvowner from pg_foreign_server as s
        union all
        select 'pg_foreign_data_wrapper'::regclass, w.oid, w.fdwowner from pg_foreign_data_wrapper as w
    ) as owned (class, oid, owner) on owned.class = d.classoid and owned.oid = d.objoid
    left join others on others.oid = owned.owner
    cross join lateral pg_identify_object(d.classoid, d.objoid, 0) as o
    cross join lateral (
        select
            case o.type when 'statistics object' then 'statistics' else replace(o.type, '-', ' ') end,
            case o.type
                when 'operator' then d.objoid::regoperator::text
                when 'cast' then trim(replace(o.identity, ' AS ', ' as '), '()')
                when 'rule' then regexp_replace(o.identity, '^(.*) on (.*)$', '\2.\1')
                else o.identity
            end
    ) as its (kind, name)
    where d.objoid >= 16384
        and d.classoid not in (
            'pg_class'::regclass, 'pg_constraint'::regclass, 'pg_extension'::regclass,
            'pg_largeobject'::regclass, 'pg_namespace'::regclass, 'pg_policy'::regclass,
            'pg_proc'::regclass, 'pg_trigger'::regclass
        )
        and (d.classoid <> 'pg_type'::regclass or d.objoid in (
            select t.oid from pg_type as t where t.typtype in ('b', 'p') and t.typelem = 0
        ))
        and (o.schema is null or o.schema in (select s.name from schemas as s))
        and not exists (
            select from extension_members as e
            where e.classid = d.classoid and e.objid = d.objoid
        )
    -- end: of no relation, function or type
),
policy_facts as (
    select
        p.name,
        p.relation,
        fact.trait,
        fact.value,
        concat_ws(
            ' ', format('create policy %I on %s', p.polname, p.relation),
            case when not p.polpermissive then 'as restrictive' end, 'for', p.command, 'to', p.roles,
            'using (' || p.condition || ')', 'with check (' || p.demand || ')'
        ) as make,
        format('drop policy %I on %s', p.polname, p.relation) as unmake
    from policies as p
    cross join lateral (
        values
        ('', ''),
        ('for', p.command),
        ('as', case when p.polpermissive then 'permissive' else 'restrictive' end),
        ('to', p.roles),
        ('using', p.condition),
        ('with check', p.demand)
    ) as fact (trait, value)
    where fact.value is not null
),
function_facts as (
    select
        f.kind,
        f.name,
        fact.trait,
        fact.value,
        whole.make,
        format('drop %s %s', f.kind, f.name) as unmake
    from functions as f
    inner join pg_language as l on l.oid = f.prolang
    left join pg_aggregate as a on a.aggfnoid = f.oid
    -- Once for all facts.
    cross join lateral (
        select case when f.prokind in ('f', 'p', 'w') then pg_get_functiondef(f.oid) end as make
        offset 0
    ) as whole
    cross join lateral (
        values
        ('', ''),
        ('language', l.lanname::text),
        ('arguments', nullif(pg_get_function_arguments(f.oid), '')),
        ('returns', pg_get_function_result(f.oid)),
        ('volatility', case f.provolatile
            when 'i' then 'immutable' when 's' then 'stable' else 'volatile'
        end),
        ('parallel', case f.proparallel
            when 's' then 'safe' when 'r' then 'restricted' else 'unsafe'
        end),
        ('security', case when f.prosecdef then 'definer' else 'invoker' end),
        ('strict', case when f.proisstrict then '' end),
        (
            'cost',
            case
                when f.prokind <> 'a'
                    and f.procost <> case when l.lanname in ('c', 'internal') then 1 else 100 end
                    then f.procost::text
            end
        ),
        ('rows', case when f.proretset and f.prorows <> 1000 then f.prorows::text end),
        ('support', nullif(f.prosupport, 0)::regproc::text),
        ('leakproof', case when f.proleakproof then '' end),
        ('set', array_to_string(f.proconfig, '; ')),
        ('body', case
            when f.prosqlbody is not null then pg_get_function_sqlbody(f.oid)
            when f.prokind <> 'a' then f.prosrc
        end),
        ('calls', case when f.prokind = 'a' then concat_ws(
            ', ', a.aggtransfn::regprocedure, nullif(a.aggcombinefn, 0)::regprocedure,
            nullif(a.aggfinalfn, 0)::regprocedure, nullif(a.aggmtransfn, 0)::regprocedure,
            nullif(a.aggminvtransfn, 0)::regprocedure, nullif(a.aggmfinalfn, 0)::regprocedure
        ) end),
        ('starts with', a.agginitval),
        ('state', case when f.prokind = 'a' then concat_ws(
            ' ', a.aggkind, a.aggtranstype::regtype, nullif(a.aggtransspace, 0),
            nullif(a.aggmtranstype, 0)::regtype, a.aggminitval, a.aggfinalmodify,
            case when a.aggfinalextra then 'extra' end,
            nullif(a.aggsortop, 0)::regoperator
        ) end)
    ) as fact (trait, value)
    where fact.value is not null
),
facts (kind, name, of, trait, value, make, unmake) as (
    select
        'type', t.name, null, fact.trait, fact.value, fact.make,
        case when fact.trait = '' then 'drop type ' || t.name end
    from types as t
    cross join lateral (
        values
        (
            '', '',
            (
                select format(
                    'create type %s as enum (%s)', t.name,
                    string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
                )
                from pg_enum as e
                where e.enumtypid = t.oid
                having count(*) > 0
            )
        ),
        (
            'labels',
            (
                select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
                from pg_enum as e
                where e.enumtypid = t.oid
            ),
            null
        ),
        (
            'attributes',
            (
                select string_agg(
                    concat_ws(
                        ' collate ',
                        quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod),
                        case when a.attcollation <> b.typcollation
                            then a.attcollation::regcollation
                        end
                    ),
                    ', ' order by a.attnum
                )
                from pg_attribute as a
                inner join pg_type as b on b.oid = a.atttypid
                where t.typtype = 'c'
                    and a.attrelid = t.typrelid
                    and a.attnum > 0
                    and not a.attisdropped
            ),
            null
        ),
        (
            'based on',
            case when t.typtype = 'd' then concat_ws(
                ' collate ', format_type(t.typbasetype, t.typtypmod), (
                    select t.typcollation::regcollation::text
                    from pg_type as b
                    where b.oid = t.typbasetype and b.typcollation <> t.typcollation
                )
            ) end,
            null
        ),
        (
            'not null',
            case when t.typtype = 'd' and t.typnotnull then '' end,
            format('alter domain %s set not null', t.name)
        ),
        (
            'default',
            case when t.typtype = 'd' then t.typdefault end,
            format('alter domain %s set default %s', t.name, t.typdefault)
        ),
        (
            'range of',
            (
                select concat_ws(
                    ' ', g.rngsubtype::regtype,
                    'collate ' || nullif(g.rngcollation, b.typcollation)::regcollation,
                    case when not k.opcdefault
                        then format('ordered by %I.%I', k.opcnamespace::regnamespace, k.opcname)
                    end,
                    'canonical ' || nullif(g.rngcanonical, 0)::regprocedure,
                    'difference ' || nullif(g.rngsubdiff, 0)::regprocedure,
                    'with', g.rngmultitypid::regtype
                )
                from pg_range as g
                inner join pg_type as b on b.oid = g.rngsubtype
                inner join pg_opclass as k on k.oid = g.rngsubopc
                where g.rngtypid = t.oid
            ),
            null
        )
    ) as fact (trait, value, make)
    where fact.value is not null
    union all
    select
        r.kind, r.name, r.of, fact.trait, fact.value, fact.make, fact.unmake
    from relations as r
    cross join me
    left join pg_roles as o on o.oid = r.relowner
    left join pg_sequence as q on q.seqrelid = r.oid
    left join pg_foreign_table as f on f.ftrelid = r.oid
    left join pg_foreign_server as v on v.oid = f.ftserver
    cross join lateral (
        values
        (
            case when r.relkind in ('v', 'm') then 'definition' else '' end,
            case when r.relkind in ('v', 'm') then pg_get_viewdef(r.oid) else '' end,
            case when r.relkind in ('v', 'm') then format(
                'create %s %s%s as %s', r.kind, r.name,
                coalesce(' with (' || array_to_string(r.reloptions, ', ') || ')', ''),
                pg_get_viewdef(r.oid)
            ) end,
            case when r.relkind in ('v', 'm', 'f') then format('drop %s %s', r.kind, r.name) end
        ),
        ('persistence', case r.relpersistence when 'u' then 'unlogged' end, null, null),
        (
            'options', array_to_string(r.reloptions, ', '),
            format('alter %s %s set (%s)', r.kind, r.name, array_to_string(r.reloptions, ', ')),
            format(
                'alter %s %s reset (%s)', r.kind, r.name,
                regexp_replace(array_to_string(r.reloptions, ', '), '=[^,]*', '', 'g')
            )
        ),
        (
            'row security', case when r.relkind in ('r', 'p') then
                case when r.relrowsecurity then 'on' else 'off' end
            end,
            format(
                'alter table %s %s row level security', r.name,
                case when r.relrowsecurity then 'enable' else 'disable' end
            ),
            null
        ),
        (
            'force', case
                when not r.relrowsecurity or r.relforcerowsecurity = (o.rolsuper or o.rolbypassrls)
                    then null
                when r.relforcerowsecurity then 'on, though its owner would not pass without'
                else 'off, though its owner passes the policies'
            end,
            null,
            format(
                'alter table %s %sforce row level security', r.name,
                case when r.relforcerowsecurity then 'no ' else '' end
            )
        ),
        ('server', quote_ident(v.srvname), null, 'drop foreign table ' || r.name),
        (
            'remote',
            (
                select o.shown from foreign_options as o
                where o.class = 'pg_foreign_table'::regclass and o.oid = r.oid and o.part = 0
            ),
            null, null
        ),
        ('partitioned', case when r.relkind = 'p' then pg_get_partkeydef(r.oid) end, null, null),
        ('partition', pg_get_expr(r.relpartbound, r.oid), null, null),
        (
            'inherits',
            (
                select string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno)
                from pg_inherits as i
                where i.inhrelid = r.oid
            ),
            null, null
        ),
        ('replica identity', case r.relreplident
            when 'f' then 'full' when 'n' then 'nothing' when 'i' then (
                select 'index ' || i.indexrelid::regclass
                from pg_index as i
                where i.indrelid = r.oid and i.indisreplident
            )
        end, null, null),
        (
            'sequence',
            format(
                '%s from %s by %s between %s and %s cache %s%s', q.seqtypid::regtype, q.seqstart,
                q.seqincrement, q.seqmin, q.seqmax, q.seqcache, case when q.seqcycle then ' cycle' end
            ),
            null, null
        )
    ) as fact (trait, value, make, unmake)
    where fact.value is not null and (fact.trait <> 'sequence' or r.relkind = 'S')
    union all
    -- What few relations have.
    select r.kind, r.name, r.of, fact.trait, fact.value, fact.make, fact.unmake
    from relations as r
    left join pg_class as toast
        on toast.oid = nullif(r.reltoastrelid, 0) and toast.reloptions is not null
    left join pg_index as i on i.indrelid = r.oid and i.indisclustered
    left join pg_class as ordering on ordering.oid = i.indexrelid
    left join pg_depend as d
        on d.classid = 'pg_class'::regclass and d.objid = r.oid and d.deptype = 'a'
        and d.refclassid = 'pg_class'::regclass and r.relkind = 'S'
    left join columns as c on c.attrelid = d.refobjid and c.attnum = d.refobjsubid
    cross join lateral (
        select array_to_string(array(select 'toast.' || o from unnest(toast.reloptions) as o), ', ')
            as options
    ) as its
    cross join lateral (
        values
        (
            'toast options', nullif(its.options, ''),
            format('alter table %s set (%s)', r.name, its.options),
            format(
                'alter table %s reset (%s)', r.name, regexp_replace(its.options, '=[^,]*', '', 'g')
            )
        ),
        (
            'clustered on', quote_ident(ordering.relname),
            format('alter %s %s cluster on %s', r.kind, r.name, quote_ident(ordering.relname)),
            format('alter %s %s set without cluster', r.kind, r.name)
        ),
        (
            'of type', nullif(r.reloftype, 0)::regtype::text,
            format('alter table %s of %s', r.name, nullif(r.reloftype, 0)::regtype),
            format('alter table %s not of', r.name)
        ),
        (
            'owned by', c.name, format('alter sequence %s owned by %s', r.name, c.name),
            format('alter sequence %s owned by none', r.name)
        )
    ) as fact (trait, value, make, unmake)
    where fact.value is not null
        and (r.reltoastrelid <> 0 or r.reloftype <> 0 or d.objid is not null or i.indrelid is not null)
    union all
    select
        'column', c.name, c.relation, fact.trait, fact.value,
        case fact.trait
            -- A NOT NULL column without a default cannot be added to a table with rows.
            when '' then case
                when c.relation_kind = 'table' and (not c.attnotnull or d.oid is not null)
                    then concat_ws(
                        '', 'alter table ', c.relation, ' add column ', c.ident, ' ', its.type,
                        its.collate, case when c.attnotnull then ' not null' end, case
                            when c.attgenerated <> '' then ' generated always as (' || its.expression
                                || case c.attgenerated when 's' then ') stored' else ')' end
                            else ' default ' || its.expression
                        end
                    )
            end
            when 'not null' then its.alter || 'set not null'
            when 'default' then its.alter || 'set default ' || its.expression
            when 'identity' then its.alter || 'set generated '
                || case c.attidentity when 'a' then 'always' else 'by default' end
        end,
        case fact.trait
            when 'not null' then its.alter || 'drop not null'
            when 'default' then its.alter || 'drop default'
            when 'identity' then its.alter || 'drop identity'
        end
    from columns as c
    inner join pg_type as t on t.oid = c.atttypid
    left join pg_attrdef as d on d.adrelid = c.attrelid and d.adnum = c.attnum
    left join pg_collation as l on l.oid = c.attcollation
    cross join lateral (
        select
            pg_get_expr(d.adbin, d.adrelid) as expression,
            format_type(c.atttypid, c.atttypmod) as type,
            case when c.attcollation <> t.typcollation then
                format(' collate %s', c.attcollation::regcollation)
            end as collate,
            format('alter table %s alter column %s ', c.relation, c.ident) as alter
    ) as its
    cross join lateral (
        values
        ('', ''),
        ('type', its.type || coalesce(its.collate, '')),
        ('not null', case when c.attnotnull then '' end),
        ('default', case when c.attgenerated = '' then its.expression end),
        (
            'generated',
            case c.attgenerated when 's' then its.expression when 'v' then its.expression || ' virtual' end
        ),
        (
            'identity',  -- a partition's is that of its parent, since 17
            case when not c.relispartition then
                case c.attidentity when 'a' then 'always' when 'd' then 'by default' end
            end
        ),
        (
            'remote',
            (
                select o.shown from foreign_options as o
                where o.class = 'pg_foreign_table'::regclass
                    and o.oid = c.attrelid and o.part = c.attnum
            )
        )
    ) as fact (trait, value)
    where fact.value is not null
        and not (c.relation_kind in ('view', 'materialized view') and fact.trait not in ('', 'default', 'type'))
    union all
    -- What few columns have: storage, and settings of the planner.
    select 'column', c.name, c.relation, fact.trait, fact.value, its.alter || fact.make, its.alter || fact.unmake
    from columns as c
    inner join pg_type as t on t.oid = c.atttypid
    cross join lateral (
        select
            format('alter table %s alter column %s ', c.relation, c.ident) as alter,
            -- A server may keep a number of its own there (pg_attver, in 15.20).
            array_to_string(array(select o from unnest(c.attoptions) as o where o !~ '^pg_'), ', ')
                as options,
            array['plain', 'external', 'main', 'extended'] as storages,
            array['p', 'e', 'm', 'x'] as letters
    ) as its
    cross join lateral (
        select
            its.storages[array_position(its.letters, c.attstorage::text)] as storage,
            its.storages[array_position(its.letters, t.typstorage::text)] as usual
    ) as stored
    cross join lateral (
        values
        (
            'storage', nullif(stored.storage, stored.usual), 'set storage ' || stored.storage,
            'set storage ' || stored.usual
        ),
        (
            'compression', case c.attcompression when 'p' then 'pglz' when 'l' then 'lz4' end,
            'set compression ' || case c.attcompression when 'p' then 'pglz' else 'lz4' end,
            'set compression default'
        ),
        (
            'statistics', nullif(c.attstattarget, -1)::text, 'set statistics ' || c.attstattarget,
            'set statistics -1'
        ),
        (
            'options', nullif(its.options, ''), format('set (%s)', its.options),
            format('reset (%s)', regexp_replace(its.options, '=[^,]*', '', 'g'))
        )
    ) as fact (trait, value, make, unmake)
    where fact.value is not null
        and c.relation_kind <> 'view'
        and (
            c.attstorage <> t.typstorage
            or c.attcompression <> ''
            or c.attstattarget >= 0
            or c.attoptions::text ~ '[{,](?!pg_)'
        )
    union all
    -- Since PostgreSQL 18, NOT NULL may be of one table only, or not validated.
    select
        'column', c.name, c.relation, 'not null is',
        concat_ws(
            ', ', case when k.connoinherit then 'not inherited' end,
            case when not k.convalidated then 'not validated' end
        ),
        null, null
    from pg_constraint as k
    inner join columns as c on c.attrelid = k.conrelid and c.attnum = k.conkey[1]
    where k.contype = 'n' and (k.connoinherit or not k.convalidated)
    union all
    -- How an identity column counts.
    select
        'column', c.name, c.relation, 'counts',
        format(
            'from %s by %s between %s and %s cache %s%s', q.seqstart, q.seqincrement, q.seqmin,
            q.seqmax, q.seqcache, case when q.seqcycle then ' cycle' end
        ),
        format(
            'alter table %s alter column %s set start %s set increment %s set minvalue %s'
            ' set maxvalue %s set cache %s set %s', c.relation, c.ident, q.seqstart, q.seqincrement,
            q.seqmin, q.seqmax, q.seqcache, case when q.seqcycle then 'cycle' else 'no cycle' end
        ),
        null
    from columns as c
    inner join pg_depend as d
        on d.refclassid = 'pg_class'::regclass and d.refobjid = c.attrelid and d.refobjsubid = c.attnum
        and d.classid = 'pg_class'::regclass and d.deptype = 'i'
    inner join pg_sequence as q on q.seqrelid = d.objid
    where c.attidentity <> '' and not c.relispartition
    union all
    select
        'constraint', k.name, k.relation, 'definition', pg_get_constraintdef(k.oid),
        format('%s add constraint %I %s', k.alter, k.conname, pg_get_constraintdef(k.oid)),
        format('%s drop constraint %I', k.alter, k.conname)
    from constraints as k
    union all
    -- The triggers of a foreign key, on both tables, which `disable trigger all` disables too.
    select
        'constraint', k.name, k.relation, 'fires', 'never', null,
        string_agg(
            distinct format('alter table %s enable trigger all', t.tgrelid::regclass), '; '
        )
    from constraints as k
    inner join pg_trigger as t on t.tgconstraint = k.oid
    where t.tgisinternal and t.tgenabled in ('D', 'R')
    group by k.name, k.relation
    union all
    select
        'index', i.name, i.relation, fact.trait, fact.value,
        -- With ONLY it would be invalid until each partition has one.
        regexp_replace(pg_get_indexdef(i.indexrelid), '^([^(]* ON) ONLY ', '\1 '),
        'drop index ' || i.name
    from indexes as i
    cross join lateral (
        values
        ('definition', pg_get_indexdef(i.indexrelid)),
        ('invalid', case when not i.indisvalid then '' end)
    ) as fact (trait, value)
    where fact.value is not null
    union all
    -- Settings of the planner for columns of indexes, also those of constraints, which pg_dump leaves
    -- out.
    select
        case when k.oid is null then 'index' else 'constraint' end,
        coalesce(k.name, quote_ident(n.nspname) || '.' || quote_ident(c.relname)), r.name, 'statistics',
        string_agg(format('%s of column %s', a.attstattarget, a.attnum), ', ' order by a.attnum),
        string_agg(its.alter || a.attstattarget, '; ' order by a.attnum),
        string_agg(its.alter || '-1', '; ' order by a.attnum)
    from pg_attribute as a
    inner join pg_index as i on i.indexrelid = a.attrelid
    inner join relations as r on r.oid = i.indrelid
    inner join pg_class as c on c.oid = i.indexrelid
    inner join pg_namespace as n on n.oid = c.relnamespace
    left join constraints as k on k.conindid = i.indexrelid and k.contype <> 'f'
    cross join lateral (
        select format(
            'alter index %I.%I alter column %s set statistics ', n.nspname, c.relname, a.attnum
        ) as alter
    ) as its
    where a.attstattarget >= 0 and a.attnum > 0
    group by k.oid, k.name, n.nspname, c.relname, r.name
    union all
    select f.kind, f.name, null, f.trait, f.value, f.make, f.unmake
    from function_facts as f
    union all
    select
        'trigger', t.name, t.relation, fact.trait, fact.value, fact.make, fact.unmake
    from triggers as t
    cross join lateral (
        values
        (
            'definition', pg_get_triggerdef(t.oid),
            regexp_replace(pg_get_triggerdef(t.oid), '^CREATE TRIGGER', 'create or replace trigger'),
            case when t.parents is null then format('drop trigger %I on %s', t.tgname, t.relation)
            else format(
                'alter table %s %s trigger %I', t.relation, case t.parents
                    when 'D' then 'disable' when 'R' then 'enable replica' when 'A' then 'enable always'
                    else 'enable'
                end, t.tgname
            ) end
        ),
        (
            'fires', case t.tgenabled
                when 'D' then 'never' when 'R' then 'on a replica only' when 'A' then 'always'
                else 'as usual'
            end,
            format(
                'alter table %s %s trigger %I', t.relation, case t.tgenabled
                    when 'D' then 'disable' when 'R' then 'enable replica' when 'A' then 'enable always'
                    else 'enable'
                end, t.tgname
            ),
            null
        )
    ) as fact (trait, value, make, unmake)
    where fact.value is not null
    union all
    select 'policy', p.name, p.relation, p.trait, p.value, p.make, p.unmake
    from policy_facts as p
    union all
    select
        'rule', r.name || '.' || quote_ident(w.rulename), r.name, fact.trait, fact.value,
        fact.make, fact.unmake
    from relations as r
    inner join pg_rewrite as w on w.ev_class = r.oid and w.rulename <> '_RETURN'
    cross join lateral (
        values
        (
            'definition', pg_get_ruledef(w.oid), pg_get_ruledef(w.oid),
            format('drop rule %I on %s', w.rulename, r.name)
        ),
        (
            'fires', case w.ev_enabled
                when 'D' then 'never' when 'R' then 'on a replica only' when 'A' then 'always'
            end,
            null, format('alter table %s enable rule %I', r.name, w.rulename)
        )
    ) as fact (trait, value, make, unmake)
    where fact.value is not null
    -- begin: of no relation, function or type
    union all
    select 'schema', s.name, null, '', '', 'create schema ' || s.name, 'drop schema ' || s.name
    from schemas as s
    where s.is_users
    union all
    select 'platform''s schema', s.name, null, '', '', null, null
    from all_schemas as s
    where s.is_platforms
    union all
    select 'extension', quote_ident(e.extname), null, fact.trait, fact.value, fact.make, null
    from pg_extension as e
    inner join all_schemas as s on s.oid = e.extnamespace and s.is_users
    cross join lateral (
        values ('', '', null),
        (
            'schema', s.name,
            case when e.extrelocatable then
                format('alter extension %I set schema %s', e.extname, s.name)
            end
        )
    ) as fact (trait, value, make)
    where not s.is_platforms
    union all
    -- Each new database has it.
    select 'extension', 'plpgsql', null, 'state', 'dropped', null, 'create extension plpgsql'
    where not exists (select from pg_extension as e where e.extname = 'plpgsql')
    union all
    select
        'default privileges' || d.suffix, d.name, null, format('%s to %s', d.privilege, d.grantee), '',
        format(
            'alter default privileges%s grant %s on %s to %s', d.clause, d.privilege, d.objects,
            d.grantee
        ),
        format(
            'alter default privileges%s revoke %s on %s from %s', d.clause, d.privilege, d.objects,
            d.grantee
        )
    from default_privileges as d
    union all
    select
        'statistics', s.name || '.' || quote_ident(x.stxname), x.stxrelid::regclass::text,
        fact.trait, fact.value, fact.make, fact.unmake
    from pg_statistic_ext as x
    inner join schemas as s on s.oid = x.stxnamespace
    cross join lateral (
        values
        (
            'definition', pg_get_statisticsobjdef(x.oid), pg_get_statisticsobjdef(x.oid),
            format('drop statistics %s.%I', s.name, x.stxname)
        ),
        (
            'target', nullif(x.stxstattarget, -1)::text,
            format('alter statistics %s.%I set statistics %s', s.name, x.stxname, x.stxstattarget),
            format('alter statistics %s.%I set statistics -1', s.name, x.stxname)
        )
    ) as fact (trait, value, make, unmake)
    where fact.value is not null
    union all
    select
        'operator', o.oid::regoperator::text, null, fact.trait, fact.value, null,
        'drop operator ' || o.oid::regoperator::text
    from pg_operator as o
    inner join schemas as s on s.oid = o.oprnamespace
    cross join lateral (
        values
        ('function', o.oprcode::text),
        (
            'optimized by',
            concat_ws(
                ', ', 'commutator ' || nullif(o.oprcom, 0)::regoperator,
                'negator ' || nullif(o.oprnegate, 0)::regoperator,
                'restrict ' || nullif(o.oprrest, 0)::regproc, 'join ' || nullif(o.oprjoin, 0)::regproc,
                case when o.oprcanhash then 'hashes' end, case when o.oprcanmerge then 'merges' end
            )
        )
    ) as fact (trait, value)
    where fact.value <> '' and o.oid >= s.first_oid and not exists (
        select from extension_members as e
        where e.classid = 'pg_operator'::regclass and e.objid = o.oid
    )
    union all
    select
        'cast', format('%s as %s', c.castsource::regtype, c.casttarget::regtype), null, 'function',
        concat_ws(
            ' ', case c.castmethod
                when 'f' then c.castfunc::regprocedure::text when 'i' then 'input and output'
                else 'none'
            end,
            case c.castcontext when 'a' then 'as assignment' when 'i' then 'as implicit' end
        ),
        null,
        format('drop cast (%s as %s)', c.castsource::regtype, c.casttarget::regtype)
    from pg_cast as c
    where c.oid >= 16384
        and not exists (
            select from pg_depend as d
            where d.classid = 'pg_cast'::regclass and d.objid = c.oid and d.deptype = 'i'
        )
        and not exists (
            select from extension_members as e
            where e.classid = 'pg_cast'::regclass and e.objid = c.oid
        )
    union all
    select
        'event trigger' || others.suffix, quote_ident(t.evtname), null, 'runs',
        concat_ws(
            ' ', t.evtfoid::regprocedure, 'on', t.evtevent,
            'when tag in (' || array_to_string(t.evttags, ', ') || ')',
            case t.evtenabled
                when 'D' then 'never' when 'R' then 'on a replica only' when 'A' then 'always'
            end
        ),
        null,
        'drop event trigger ' || quote_ident(t.evtname)
    from pg_event_trigger as t
    inner join others on others.oid = t.evtowner
    where t.evtowner not in (select p.oid from platform_roles as p)
        and not exists (
            select from extension_members as e
            where e.classid = 'pg_event_trigger'::regclass and e.objid = t.oid
        )
    union all
    select
        'foreign data wrapper' || others.suffix, quote_ident(w.fdwname), null, fact.trait,
        fact.value, null, 'drop foreign data wrapper ' || quote_ident(w.fdwname)
    from pg_foreign_data_wrapper as w
    inner join others on others.oid = w.fdwowner
    cross join lateral (
        values
        ('', ''),
        (
            'calls',
            concat_ws(
                ', ', nullif(w.fdwhandler, 0)::regprocedure, nullif(w.fdwvalidator, 0)::regprocedure
            )
        ),
        (
            'remote',
            (
                select o.shown from foreign_options as o
                where o.class = 'pg_foreign_data_wrapper'::regclass and o.oid = w.oid
            )
        )
    ) as fact (trait, value)
    where fact.value is not null and not exists (
        select from extension_members as e
        where e.classid = 'pg_foreign_data_wrapper'::regclass and e.objid = w.oid
    )
    union all
    select
        'server' || others.suffix, quote_ident(s.srvname), null, fact.trait, fact.value,
        null, 'drop server ' || quote_ident(s.srvname)
    from pg_foreign_server as s
    inner join others on others.oid = s.srvowner
    inner join pg_foreign_data_wrapper as w on w.oid = s.srvfdw
    cross join lateral (
        values
        ('', ''), ('wrapper', quote_ident(w.fdwname)), ('type', s.srvtype), ('version', s.srvversion),
        (
            'remote',
            (
                select o.shown from foreign_options as o
                where o.class = 'pg_foreign_server'::regclass and o.oid = s.oid
            )
        )
    ) as fact (trait, value)
    where fact.value is not null
    union all
    select
        'publication' || others.suffix, quote_ident(p.pubname), null, fact.trait, fact.value, null,
        'drop publication ' || quote_ident(p.pubname)
    from pg_publication as p
    inner join others on others.oid = p.pubowner
    cross join lateral (
        values
        (
            '', concat_ws(
                ', ', case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
                case when p.pubdelete then 'delete' end, case when p.pubtruncate then 'truncate' end,
                case when p.pubviaroot then 'by the root of partitions' end
            )
        ),
        (
            'of', case when p.puballtables then 'all tables' else concat_ws(
                ', ',
                (
                    select string_agg('tables in ' || n.pnnspid::regnamespace, ', ' order by n.pnnspid)
                    from pg_publication_namespace as n
                    where n.pnpubid = p.oid
                ),
                (
                    select string_agg(
                        concat(
                            t.prrelid::regclass,
                            ' (' || (
                                select string_agg(quote_ident(a.attname), ', ' order by a.attnum)
                                from pg_attribute as a
                                where a.attrelid = t.prrelid and a.attnum = any(t.prattrs)
                            ) || ')',
                            ' where ' || pg_get_expr(t.prqual, t.prrelid)
                        ),
                        ', ' order by t.prrelid::regclass::text collate "C"
                    )
                    from pg_publication_rel as t
                    where t.prpubid = p.oid
                )
            ) end
        )
    ) as fact (trait, value)
    -- Supabase has this one from the start, without tables.
    where not (
        p.pubname = 'supabase_realtime' and not p.puballtables
        and exists (select from all_schemas as s where s.is_platforms)
        and not exists (select from pg_publication_rel as t where t.prpubid = p.oid)
        and not exists (select from pg_publication_namespace as n where n.pnpubid = p.oid)
    )
    union all
    -- Kinds that are rare in a schema: that there is one.
    select
        o.type, o.identity, null, '', '', null,
        format('drop %s %s', o.type, regexp_replace(o.identity, '^(for .*) on (language .*)', '\1 \2'))
    from (
        select 'pg_language'::regclass, l.oid, null::oid from pg_language as l
        union all
        select 'pg_am'::regclass, a.oid, null from pg_am as a
        union all
        select 'pg_transform'::regclass, t.oid, null from pg_transform as t
        union all
        select 'pg_opclass'::regclass, o.oid, o.opcnamespace from pg_opclass as o
        union all
        select 'pg_opfamily'::regclass, o.oid, o.opfnamespace from pg_opfamily as o
        union all
        select 'pg_collation'::regclass, c.oid, c.collnamespace from pg_collation as c
        union all
        select 'pg_conversion'::regclass, c.oid, c.connamespace from pg_conversion as c
        union all
        select 'pg_ts_config'::regclass, t.oid, t.cfgnamespace from pg_ts_config as t
        union all
        select 'pg_ts_dict'::regclass, t.oid, t.dictnamespace from pg_ts_dict as t
        union all
        select 'pg_ts_parser'::regclass, t.oid, t.prsnamespace from pg_ts_parser as t
        union all
        select 'pg_ts_template'::regclass, t.oid, t.tmplnamespace from pg_ts_template as t
        union all
        select 'pg_type'::regclass, t.oid, t.typnamespace
        from pg_type as t
        where t.typtype in ('b', 'p') and t.typelem = 0
    ) as rare (class, oid, place)
    cross join lateral pg_identify_object(rare.class, rare.oid, 0) as o
    where rare.oid >= 16384
        and not (rare.class = 'pg_collation'::regclass and o.identity ~ '^pg_catalog[.].*-x-icu')
        and (rare.place is null or rare.place in (select s.oid from schemas as s))
        and not exists (
            select from extension_members as e
            where e.classid = rare.class and e.objid = rare.oid
        )
    union all
    -- What they consist of.
    select o.type, o.identity, null, 'definition', rare.definition, null, null
    from (
        select
            'pg_collation'::regclass, c.oid, c.collnamespace, concat_ws(
                ' ', c.collprovider,
                coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate),
                nullif(c.collctype, c.collcollate), to_jsonb(c) ->> 'collicurules',
                case when not c.collisdeterministic then 'not deterministic' end
            )
        from pg_collation as c
        union all
        select
            'pg_ts_dict'::regclass, d.oid, d.dictnamespace,
            concat_ws(
                ' ', format('%I.%I', t.tmplnamespace::regnamespace, t.tmplname), d.dictinitoption
            )
        from pg_ts_dict as d
        inner join pg_ts_template as t on t.oid = d.dicttemplate
        union all
        select
            'pg_ts_config'::regclass, c.oid, c.cfgnamespace, (
                select string_agg(
                    format('%s: %s', m.maptokentype, m.mapdict::regdictionary), ', '
                    order by m.maptokentype, m.mapseqno
                )
                from pg_ts_config_map as m
                where m.mapcfg = c.oid
            )
        from pg_ts_config as c
        union all
        select
            'pg_ts_template'::regclass, t.oid, t.tmplnamespace,
            concat_ws(' ', nullif(t.tmplinit, 0)::regprocedure, t.tmpllexize::regprocedure)
        from pg_ts_template as t
        union all
        select
            'pg_opclass'::regclass, k.oid, k.opcnamespace, concat_ws(
                ' ', case when k.opcdefault then 'default' end, k.opcintype::regtype,
                'as ' || nullif(k.opckeytype, 0)::regtype,
                format('in %I.%I', f.opfnamespace::regnamespace, f.opfname)
            )
        from pg_opclass as k
        inner join pg_opfamily as f on f.oid = k.opcfamily
        union all
        select
            'pg_conversion'::regclass, c.oid, c.connamespace, concat_ws(
                ' ', case when c.condefault then 'default' end, pg_encoding_to_char(c.conforencoding),
                'to', pg_encoding_to_char(c.contoencoding), 'by', c.conproc::regprocedure
            )
        from pg_conversion as c
        union all
        select
            'pg_transform'::regclass, t.oid, null,
            format('%s, %s', t.trffromsql::regprocedure, t.trftosql::regprocedure)
        from pg_transform as t
        union all
        select 'pg_am'::regclass, a.oid, null, concat_ws(' ', a.amtype, a.amhandler)
        from pg_am as a
        union all
        select
            'pg_language'::regclass, l.oid, null, concat_ws(
                ' ', case when l.lanpltrusted then 'trusted' end, nullif(l.lanplcallfoid, 0)::regprocedure,
                nullif(l.laninline, 0)::regprocedure, nullif(l.lanvalidator, 0)::regprocedure
            )
        from pg_language as l
    ) as rare (class, oid, place, definition)
    cross join lateral pg_identify_object(rare.class, rare.oid, 0) as o
    where rare.oid >= 16384
        and not (rare.class = 'pg_collation'::regclass and o.identity ~ '^pg_catalog[.].*-x-icu')
        and rare.definition is not null
        and (rare.place is null or rare.place in (select s.oid from schemas as s))
        and not exists (
            select from extension_members as e
            where e.classid = rare.class and e.objid = rare.oid
        )
    union all
    -- The operators and functions of operator families, also those added to one of PostgreSQL's own.
    select
        'operator family', f.identity, null, 'members',
        string_agg(m.member, ', ' order by m.member collate "C"), null, null
    from (
        select
            o.amopfamily, o.oid, 'pg_operator'::regclass, o.amopopr::oid,
            format('operator %s %s', o.amopstrategy, o.amopopr::regoperator)
        from pg_amop as o
        union all
        select
            p.amprocfamily, p.oid, 'pg_proc'::regclass, p.amproc::oid,
            format(
                'function %s (%s, %s) %s', p.amprocnum, p.amproclefttype::regtype,
                p.amprocrighttype::regtype, p.amproc::regprocedure
            )
        from pg_amproc as p
    ) as m (family, oid, class, uses, member)
    cross join lateral pg_identify_object('pg_opfamily'::regclass, m.family, 0) as f
    where m.oid >= 16384
        and not exists (
            select from extension_members as e
            where (e.classid, e.objid) in ((m.class, m.uses), ('pg_opfamily'::regclass, m.family))
        )
    group by f.identity
    union all
    -- Its options hold a password. Those of a role are shown to that role only.
    select
        'user mapping' || others.suffix, format('%I on %I', u.usename, u.srvname), null, fact.trait,
        fact.value, null,
        format(
            'drop user mapping for %s server %I',
            case u.umuser when 0 then 'public' else quote_ident(u.usename) end, u.srvname
        )
    from pg_user_mappings as u
    inner join pg_foreign_server as s on s.oid = u.srvid
    inner join others on others.oid = s.srvowner
    cross join lateral (
        values
        ('', ''),
        (
            'remote', (
                select o.shown from foreign_options as o
                where o.class = 'pg_user_mapping'::regclass and o.oid = u.umid
            )
        )
    ) as fact (trait, value)
    where fact.value is not null
    -- end: of no relation, function or type
    union all
    select
        p.kind, p.name, p.of, format('%s to %s', p.privilege, p.grantee),
        case when p.is_grantable then 'with grant option' else '' end,
        format(
            'grant %s%s to %s%s', p.privilege, p.target, p.grantee,
            case when p.is_grantable then ' with grant option' else '' end
        ),
        format('revoke %s%s from %s', p.privilege, p.target, p.grantee)
    from privileges as p
    union all
    select
        o.kind, o.name, o.of, 'owner', o.owner::regrole::text,
        format('alter %s owner to %s', o.alter, o.owner::regrole),
        format('alter %s owner to %I', o.alter, me.rolname)
    from owned as o
    cross join me
    where o.owner <> me.oid
    union all
    select
        d.kind, d.name, d.of, 'comment', d.comment,
        format('comment on %s is %L', d.target, d.comment),
        format('comment on %s is null', d.target)
    from described as d
)
select kind, name, trait, value, of, make, unmake
from facts
-- Of the migration tables, only what was granted or added to them.
where not (
    name ~ '^(supabase_migrations|yoyo)([.]|$)'
    and kind in ('column', 'constraint', 'index', 'schema', 'sequence', 'table', 'type')
    and trait !~ ' to '
)
