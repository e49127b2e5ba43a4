"""For tests of an application: a database for each test, and callers. docs/testing.md."""
