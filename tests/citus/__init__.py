"""The schema on Citus: tests that start a real cluster."""
