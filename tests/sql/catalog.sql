-- All user-defined objects in the catalog of a database, one fact per line, sorted. Oids and the
-- schema of the migration tables are left out; null privilege lists are replaced by their defaults.
with
schemas as (
    select oid, nspname, nspowner, nspacl
    from pg_namespace
    where nspname !~ '^pg_' and nspname not in ('information_schema', 'yoyo')
),
relations as (
    select c.*, s.nspname || '.' || c.relname as name
    from pg_class as c
    join schemas as s on s.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
),
functions as (
    select p.*, p.oid::regprocedure::text as name
    from pg_proc as p
    join schemas as s on s.oid = p.pronamespace
),
privileges (kind, name, acl) as (
    select 'database', 'this', coalesce(datacl, acldefault('d', datdba))
    from pg_database where datname = current_database()
    union all
    select 'schema', nspname, coalesce(nspacl, acldefault('n', nspowner)) from schemas
    union all
    select 'relation', name,
        coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner))
    from relations
    union all
    select 'column', r.name || '.' || a.attname, a.attacl
    from relations as r
    join pg_attribute as a on a.attrelid = r.oid
    where not a.attisdropped
    union all
    select 'function', name, coalesce(proacl, acldefault('f', proowner)) from functions
    union all
    select 'type', t.oid::regtype::text, coalesce(t.typacl, acldefault('T', t.typowner))
    from pg_type as t
    join schemas as s on s.oid = t.typnamespace
    where t.typtype in ('e', 'd')
),
lines (kind, name, fact) as (
    select 'schema', nspname, 'owner ' || nspowner::regrole from schemas
    union all
    select 'type', t.oid::regtype::text, concat_ws(' ', t.typtype, t.typowner::regrole,
        (select string_agg(enumlabel, ',' order by enumsortorder) from pg_enum where enumtypid = t.oid),
        (select string_agg(pg_get_constraintdef(oid), ',' order by conname)
        from pg_constraint where contypid = t.oid))
    from pg_type as t
    join schemas as s on s.oid = t.typnamespace
    where t.typtype in ('e', 'd', 'r') or (t.typtype = 'c' and exists (
        select 1 from pg_class as c where c.oid = t.typrelid and c.relkind = 'c'))
    union all
    select 'relation', name, concat_ws(' ', relkind, relpersistence, 'owner', relowner::regrole,
        'rls', relrowsecurity, 'force', relforcerowsecurity, relreplident, reloptions::text,
        case when relkind in ('v', 'm') then pg_get_viewdef(oid) end)
    from relations
    union all
    select 'column', r.name || '.' || a.attname, concat_ws(' ',
        row_number() over (partition by r.oid order by a.attnum),
        format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation,
        case when a.attnotnull then 'not null' end, a.attidentity, a.attgenerated,
        pg_get_expr(d.adbin, d.adrelid), a.attstattarget, a.attoptions::text)
    from relations as r
    join pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef as d on d.adrelid = r.oid and d.adnum = a.attnum
    union all
    select 'constraint', r.name || '.' || c.conname,
        concat_ws(' ', pg_get_constraintdef(c.oid), c.convalidated, c.condeferrable)
    from relations as r
    join pg_constraint as c on c.conrelid = r.oid
    union all
    select 'index', i.indexrelid::regclass::text, concat_ws(' ', pg_get_indexdef(i.indexrelid),
        case when not i.indisvalid then 'INVALID' end)
    from relations as r
    join pg_index as i on i.indrelid = r.oid
    union all
    select 'function', name, concat_ws(' ', proowner::regrole,
        case when prokind in ('f', 'p') then pg_get_functiondef(oid) end)
    from functions
    union all
    select 'trigger', r.name || '.' || t.tgname, concat_ws(' ', t.tgenabled, pg_get_triggerdef(t.oid))
    from relations as r
    join pg_trigger as t on t.tgrelid = r.oid and not t.tgisinternal
    union all
    select 'policy', r.name || '.' || p.polname, concat_ws(' ', p.polcmd,
        case when p.polpermissive then 'permissive' else 'restrictive' end,
        (select string_agg(case role when 0 then 'public' else role::regrole::text end, ',')
        from unnest(p.polroles) as role),
        'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid))
    from relations as r
    join pg_policy as p on p.polrelid = r.oid
    union all
    select 'rule', r.name || '.' || w.rulename, pg_get_ruledef(w.oid)
    from relations as r
    join pg_rewrite as w on w.ev_class = r.oid and w.rulename <> '_RETURN'
    union all
    select 'privilege on ' || p.kind, p.name, concat_ws(' ', a.grantor::regrole, 'to',
        case a.grantee when 0 then 'public' else a.grantee::regrole::text end,
        a.privilege_type, case when a.is_grantable then 'with grant option' end)
    from privileges as p, aclexplode(p.acl) as a
    union all
    select 'default privilege', concat_ws(' ', d.defaclrole::regrole, n.nspname, d.defaclobjtype),
        concat_ws(' ', 'to',
            case a.grantee when 0 then 'public' else a.grantee::regrole::text end, a.privilege_type)
    from pg_default_acl as d
    left join pg_namespace as n on n.oid = d.defaclnamespace
    left join aclexplode(d.defaclacl) as a on true
    union all
    select 'comment on ' || i.type, i.identity, d.description
    from pg_description as d, pg_identify_object(d.classoid, d.objoid, d.objsubid) as i
    where d.objoid >= 16384
        and coalesce(i.schema, '') !~ '^(pg_|information_schema|yoyo)'
        and i.identity <> 'yoyo'
    union all
    select 'comment on schema', s.nspname, obj_description(s.oid, 'pg_namespace')
    from schemas as s
    where s.oid < 16384
    union all
    select 'comment on database', 'this', description
    from pg_shdescription as d
    where d.classoid = 'pg_database'::regclass
        and d.objoid = (select oid from pg_database where datname = current_database())
    union all
    select 'extension', extname, extversion from pg_extension
    union all
    select 'event trigger', evtname, concat_ws(' ', evtevent, evtfoid::regproc, evtenabled)
    from pg_event_trigger
    union all
    select 'cast', castsource::regtype || ' as ' || casttarget::regtype, castfunc::regproc::text
    from pg_cast where oid >= 16384
    union all
    select 'operator', oid::regoperator::text, oprcode::text
    from pg_operator where oid >= 16384
    union all
    select 'setting', coalesce(nullif(setrole, 0)::regrole::text, 'every role'), setconfig::text
    from pg_db_role_setting
    where setdatabase = (select oid from pg_database where datname = current_database())
)
select line
from lines
cross join concat_ws(' | ', kind, name, fact) as line
where fact is not null
order by line collate "C";
