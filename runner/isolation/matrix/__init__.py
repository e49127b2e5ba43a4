"""Every right of the permission table, tried as every actor."""
