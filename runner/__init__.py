"""Apply, seed and inspect a PostgreSQL schema that is written by hand in numbered SQL files.

The files in `sql/` are the truth; every room of this package asks a question about them.
"""

__version__ = "0.1.0"
