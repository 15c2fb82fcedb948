"""keywright: keeps an organisation's certificates, keys and encrypted fields in order."""
