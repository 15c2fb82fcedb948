"""Announcements by HTTPS, signed as Standard Webhooks have it, to addresses that may be called."""
