"""Simplifying policy conditions as PostgreSQL prints them."""

from __future__ import annotations

import pytest

from runner.studio.data import policy_conditions

ORG = "( SELECT app.caller_org() AS caller_org)"
OWNER = "( SELECT app.caller_org_as(VARIADIC ARRAY['OWNER'::user_role]) AS caller_org_as)"
ADMIN = "( SELECT app.caller_org_as(VARIADIC ARRAY['ADMIN'::user_role]) AS caller_org_as)"
INSERT = f"org_id = ({OWNER}) OR org_id = ({ADMIN}) AND NOT ('OWNER'::user_role = ANY (roles))"


def test_helpers_excludes_sub_selects_that_read_a_table() -> None:
    reads = "org_id IN ( SELECT m.org_id FROM members m WHERE m.id = ( SELECT me() AS me))"
    assert policy_conditions.helpers(INSERT) == [OWNER, ADMIN]
    assert policy_conditions.helpers(f"(a = ')' AND (org_id = ({ORG})))") == [ORG]
    assert policy_conditions.helpers("true") == []
    quoted = '( SELECT app."a""b"() AS "a""b")'
    assert policy_conditions.helpers(f"org_id = ({quoted})") == [quoted]
    assert reads not in policy_conditions.helpers(reads)


@pytest.mark.parametrize(
    ("condition", "results", "expected"),
    [
        (f"org_id = ({ORG})", {ORG: "o1"}, "org_id = 'o1'"),
        (f"(org_id = {ORG})", {ORG: "it's"}, "org_id = 'it''s'"),
        (f"(org_id = ({ORG}))", {ORG: None}, None),
        (INSERT, {OWNER: None, ADMIN: None}, None),
        (INSERT, {OWNER: "o1", ADMIN: None}, "org_id = 'o1'"),
        (
            INSERT,
            {OWNER: None, ADMIN: "o1"},
            "org_id = 'o1' AND NOT ('OWNER'::user_role = ANY (roles))",
        ),
        (f"org_id = ({ORG}) AND (a = 1 OR b = 2)", {ORG: "o"}, "org_id = 'o' AND (a = 1 OR b = 2)"),
        (
            f"org_id = ({ORG}) AND (id = ({OWNER}) OR x)",
            {ORG: "o", OWNER: None},
            "org_id = 'o' AND x",
        ),
        (f"org_id IS NOT DISTINCT FROM ({ORG})", {ORG: None}, "org_id IS NOT DISTINCT FROM null"),
        ("name = 'a OR b' AND x = '('", {}, "name = 'a OR b' AND x = '('"),
        (
            f"CASE WHEN a AND org_id = ({ORG}) THEN b END",
            {ORG: None},
            "CASE WHEN a AND org_id = null THEN b END",
        ),
        ("false", {}, None),
        ("true", {}, "true"),
        ("(a = 1) OR (b = 2)", {}, "a = 1 OR b = 2"),
    ],
)
def test_simplify_fills_in_helper_results(
    condition: str, results: dict[str, str | None], expected: str | None
) -> None:
    assert policy_conditions.simplify(condition, results) == expected
