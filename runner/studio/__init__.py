"""The record browser: the database as a given person would see it, read-only."""
