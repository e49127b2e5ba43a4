"""One rule for every command that takes data away: which database needs a confirmation."""

from __future__ import annotations

import shlex

from runner.errors import ConfirmationRequired
from runner.postgres.target import Target


def require(target: Target, typed_name: str | None, action: str, flag: str) -> None:
    """Raise ConfirmationRequired unless the database is embedded or its name was typed.

    `flag`: the option, or the whole command, that the name follows.
    """
    if target.embedded or typed_name == target.name:
        return
    raise ConfirmationRequired(
        f"This would {action} {target.url()}, which is not the embedded database",
        hint=f"To confirm, type its name: {flag} {shlex.quote(target.name)}",
    )


def require_to_roll_back(
    target: Target,
    typed_name: str | None,
    *,
    everything: bool,
    command: str | None = None,
) -> None:
    """Raise ConfirmationRequired for a rollback that may lose data of others.

    On this machine only one of `everything` asks; on another, every rollback. `command`: what the
    option follows in the hint; by default this program's own.
    """
    if everything or not target.is_local:
        if command is None:
            command = f"python -m runner rollback{' --all' if everything else ''}"
        action = f"roll back {'everything' if everything else 'migrations'} in"
        require(target, typed_name, action, f"{command} --yes-delete".strip())


def require_to_seed(target: Target, *, yes: bool) -> None:
    """Raise ConfirmationRequired for loading seeds into a database that is not local."""
    if not (target.is_local or yes):
        raise ConfirmationRequired(
            f"Seeds are made-up data for development, and {target.url()} is not local",
            hint="To load them all the same: --yes. To migrate only: python -m runner apply",
        )
