"""Run the statements of one file on one connection."""
