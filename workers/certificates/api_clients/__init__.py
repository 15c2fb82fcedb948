"""Configurations for programs that call a mutual-TLS listener with a certificate kept here."""
