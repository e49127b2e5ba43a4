"""Tests of the record browser."""
