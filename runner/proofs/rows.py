"""stub"""

from dataclasses import dataclass

from runner.database import Connection


@dataclass(frozen=True)
class Made:
    table: str
    rows: int
    why_not: str


def fill(connection: Connection, *, wanted: int = 4) -> list[Made]:
    return []
