"""Postgres: connections, the schema, and the embedded server. No feature's SQL."""
