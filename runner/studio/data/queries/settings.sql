-- The settings of a request, until the transaction ends.
select pg_catalog.set_config(given.key, given.value, true)
from jsonb_each_text(%(settings)s::jsonb) as given
