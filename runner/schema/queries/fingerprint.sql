-- The fingerprint of the catalog: the number of its format, major version, SHA-256 of the facts. Those
-- of another format or version are not compared. The braces stand for the query catalog.sql.
select '4:' || current_setting('server_version_num')::int / 10000 || ':' || encode(
    sha256(convert_to(
        string_agg(
            format('%s|%s|%s|%s', kind, name, trait, value),
            E'\n'
            order by kind collate "C", name collate "C", trait collate "C", value collate "C"
        ),
        'UTF8'
    )),
    'hex'
)
from (
{catalog}
) as facts
where kind not like '% of another role'
