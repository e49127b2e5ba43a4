"""Examine migrations before they run: check, plan, baseline, edited files."""
