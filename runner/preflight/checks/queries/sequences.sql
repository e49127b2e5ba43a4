-- Sequences, with the value that setval would give each what it has now.
select
    format('%I.%I', s.schemaname, s.sequencename),
    coalesce(s.last_value, s.start_value),
    s.last_value is not null
from pg_catalog.pg_sequences as s
