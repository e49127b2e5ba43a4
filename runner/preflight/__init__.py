"""What can be known before files run: check, plan, baseline, edits."""
