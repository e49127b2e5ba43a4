-- Organizations of equal size, with three users each, so that results do not depend on the caller.
-- psql -v orgs=1000 -v projects=1000000 -f tenants.sql, as a superuser: triggers and foreign keys
-- are skipped, because loading is not what is timed.

set session_replication_role = replica;

insert into public.organizations (id, name)
select 'corg' || lpad(o::text, 21, '0'), 'Organization ' || o
from generate_series(1, :orgs) as o;

insert into public.users (org_id, id, email, name, roles, auth_user_id)
select
    'corg' || lpad(o::text, 21, '0'),
    'cusr' || lpad((3 * o + r.place)::text, 21, '0'),
    lower(r.name) || '@' || o || '.example',
    r.name || ' ' || o,
    array[r.name]::public.user_role[],
    lpad(to_hex(3 * o + r.place), 32, '0')::uuid
from generate_series(1, :orgs) as o
cross join (values (0, 'OWNER'), (1, 'ADMIN'), (2, 'MEMBER')) as r (place, name);

insert into public.projects (org_id, id, name, status, description, created_at, updated_at)
select
    'corg' || lpad((1 + (n - 1) / (:projects / :orgs))::text, 21, '0'),
    'cprj' || lpad(n::text, 21, '0'),
    'Project ' || n,
    (array['draft', 'paused', 'archived', 'active'])[least(1 + n % 10, 4)],
    'What the blueprint of project ' || n || ' is about',
    timestamptz '2026-01-01' + (n % 1000) * interval '5 hours',
    timestamptz '2026-01-01' + (n % 1000) * interval '5 hours'
from generate_series(1, :projects) as n;

insert into public.workflows (org_id, id, project_id, gate, status, approver_id, approved_at)
select
    p.org_id,
    'cwf' || g.place || substr(p.id, 5),
    p.id,
    g.gate::public.workflow_gate,
    g.status,
    case g.place when 1 then 'cusr' || lpad((3 * substr(p.org_id, 5)::int)::text, 21, '0') end,
    case g.place when 1 then p.created_at end
from public.projects as p
cross join (values (1, 'G0', 'approved'), (2, 'G1', 'in_review')) as g (place, gate, status);

insert into public.audit_logs
    (org_id, id, actor_id, action, meta, target_type, target_id, created_at)
select
    p.org_id,
    'clg' || n || substr(p.id, 5),
    'cusr' || lpad((3 * substr(p.org_id, 5)::int)::text, 21, '0'),
    'update',
    '{"columns": ["status"]}',
    'projects',
    p.id,
    p.created_at + n * interval '1 minute'
from public.projects as p
cross join generate_series(1, 3) as n;

set session_replication_role = origin;
vacuum analyze;

-- A role that bypasses row-level security, for the same statements with org_id = literal.
create schema bench;
do $$
begin
    if to_regrole('skips') is null then
        create role skips bypassrls;
    end if;
end
$$;
grant usage on schema bench, app, auth to skips, authenticated;
grant execute on all functions in schema app, auth to skips;
grant select, insert, update on all tables in schema public to skips;

-- Average microseconds for parsing, planning and executing a statement on the server. It runs
-- `times` times over the rows first … last in turn; $1 is the number of a row, as 21 digits.
create function bench.cost(statement text, first int, last int, times int)
returns double precision
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();
begin
    for n in 0 .. times - 1 loop
        execute statement using lpad((first + n % (last - first + 1))::text, 21, '0');
    end loop;

    return extract(epoch from clock_timestamp() - began) * 1e6 / times;
end
$$;
grant execute on function bench.cost(text, int, int, int) to skips, authenticated;
