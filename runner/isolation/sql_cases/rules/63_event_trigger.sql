-- 63_event_trigger
-- An event trigger whose function lies where the API reaches, or belongs to one of its roles.
-- source: https://www.postgresql.org/docs/current/event-trigger-definition.html
-- why: It runs as whoever next changes the schema, mostly the owner.

select
    format('event trigger %I', e.evtname) as object,
    format('on %s it runs %s', e.evtevent, f.title) as problem,
    format('drop event trigger %I;', e.evtname) as fix
from pg_event_trigger as e
inner join routine as f on f.oid = e.evtfoid
where e.evtenabled <> 'D'
    and (f.exposed or f.owner in (select r.oid from api_role as r))
