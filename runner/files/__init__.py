"""SQL files: their statements, headers and order. No database access."""
