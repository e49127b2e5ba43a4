"""The rows of two tenants, and the people in them, made for any schema."""
