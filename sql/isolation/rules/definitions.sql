-- Common table expressions for the rules of this schema, after those of the runner.

-- The fix of a policy whose condition has another form than the policies of sql/.
written_condition as (
    select
        c.*,
        format('-- compare %s', c.title) as fix
    from condition as c
),
-- The tenant tables that a tenant's role may use; the others are the platform's own.
client_table as (
    select t.*
    from tenant_table as t
    where exists (
        select from privilege as p
        where p.oid = t.oid
            and (p.grantee = 0 or p.grantee in (select r.oid from api_role as r))
    )
),
-- The tables whose changes the log records: those of sql/, and every other with one of its triggers.
audited_table as (
    select t.*
    from tenant_table as t
    where t.oid in (
        select to_regclass(format('public.%I', known.name))
        from unnest(array['organizations', 'users', 'projects', 'workflows', 'ai_agents'])
            as known (name)
        union all
        select g.tgrelid
        from pg_trigger as g
        inner join pg_proc as f on f.oid = g.tgfoid
        where f.proname in ('record_insert', 'record_audit')
    )
)
