"""Statements that callers of one tenant try on the rows of both."""
