"""Which rollback needs a confirmation."""

from __future__ import annotations

import pytest

from runner.errors import ConfirmationRequired
from runner.postgres.target import Target
from runner.preflight.confirmation import require_to_roll_back


@pytest.mark.parametrize(
    ("host", "everything", "typed", "asks"),
    [
        ("db.example.com", False, None, True),
        ("db.example.com", False, "other", True),
        ("db.example.com", True, "shop", False),
        ("localhost", True, None, True),
        ("localhost", False, None, False),
    ],
)
def test_rollback_of_rows_of_others_asks(
    host: str, everything: bool, typed: str | None, asks: bool
) -> None:
    target = Target({"host": host, "dbname": "shop"}, "", embedded=False)
    if asks:
        with pytest.raises(ConfirmationRequired, match=r"not the embedded database") as raised:
            require_to_roll_back(target, typed, everything=everything)
        which = " --all" if everything else ""
        assert raised.value.hint.endswith(f"python -m runner rollback{which} --yes-delete shop")
    else:
        require_to_roll_back(target, typed, everything=everything)
