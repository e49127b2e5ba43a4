"""Every right tried by every actor."""
