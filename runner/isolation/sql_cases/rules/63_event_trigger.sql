-- 63_event_trigger
-- An event trigger whose function is in an exposed schema, or owned by an API role.
-- source: https://www.postgresql.org/docs/current/event-trigger-definition.html
-- why: It runs as the role that next changes the schema, usually the owner.

select
    format('event trigger %I', e.evtname) as object,
    format('on %s it runs %s', e.evtevent, f.title) as problem,
    format('drop event trigger %I;', e.evtname) as fix
from pg_event_trigger as e
inner join routine as f on f.oid = e.evtfoid
where e.evtenabled <> 'D'
    and (f.exposed or f.owner in (select r.oid from api_role as r))
