"""A mistake in isolation.toml is an error with its line and the nearest right word."""

from __future__ import annotations

import pytest

from runner.errors import UsageError
from runner.isolation.tenancy import config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[tenant]\ncolum = "x"', "toml:2: unknown key of [tenant] 'colum'; did you mean"),
        ('[tenant]\ntable = "x"', "tell the column of the tenant"),
        ('[tenant]\ncolumn = "x"\n[actors]\nOWNER = "a"\n[rights]\nt = { select = "OWNR" }',
         "isolation.toml:6: unknown actor 'OWNR'; did you mean OWNER?"),
        ('[tenant]\ncolumn = "x"\n[rights]\nt = { selct = "a" }', "unknown command of t 'selct'"),
        ("[tenant", "isolation.toml: "),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_has_its_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        config.parse(text)
    assert message in raised.value.message
