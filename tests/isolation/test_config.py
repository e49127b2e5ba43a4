"""A mistake in isolation.toml is an error with its line and the nearest right word."""

from __future__ import annotations

import pytest

from runner.errors import UsageError
from runner.isolation.tenancy import config


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('[tenant]\ncolum = "x"', "toml:2: unknown key in [tenant]: 'colum'", "you mean column?"),
        ('[tenant]\ntable = "x"', "toml:1: [tenant] has no column", "tenant_id"),
        ('[tenant]\ncolumn = "x"\n[tenants]', "toml:3: unknown section [tenants]", "mean tenant?"),
        ('[tenant]\ncolumn = "x"\n[actors]\nOWNER = "a"\n[rights]\nt = { select = "OWNR" }',
         "isolation.toml:6: unknown actor 'OWNR'", "Did you mean OWNER?"),
        ('[tenant]\ncolumn = "x"\n[actors]\na = "a"\n\n[rights.t]\nselect = "a"\ninsert = "b"',
         "isolation.toml:8: unknown actor 'b'", "Known: a."),
        ('[tenant]\ncolumn = "x"\n[rights]\nt = { selct = "a" }',
         "toml:4: unknown command of t: 'selct'", "Did you mean select?"),
        ('[tenant]\ncolumn = "x"\n[actors]\na = { rol = "a" }', "toml:4: a has no role", ""),
        ('[tenant]\ncolumn = "x"\n[[accept]]\nrule = "y"', "toml:3: an accepted finding", ""),
        ("tenant = 1", "toml:1: [tenant] must be a table", ""),
        ("[tenant\ncolumn = 1", "isolation.toml:1", ""),
        ("[tenant", "isolation.toml: Expected", ""),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_has_its_line(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        config.parse(text)
    assert message in raised.value.message
    assert hint in raised.value.hint
