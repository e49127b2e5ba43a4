"""What the schema of sql/ promises, loaded once: sql/isolation.toml and sql/isolation/."""

from __future__ import annotations

from conftest import SQL_DIR

from runner.isolation.project import load

PROJECT = load(SQL_DIR)
