"""Organizations and their members: the tenants, and who in them is told what."""
