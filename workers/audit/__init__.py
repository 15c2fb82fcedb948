"""The record of who did what: written by the database, chained, and read back by people."""
