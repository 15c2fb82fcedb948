"""TLS as every connection of ours has it: verified, 1.2 or later, and explained where it fails.

Knows the standard library only; the broker, the database, the mail server and webhooks use it.
"""

from workers.tls.authorities import check_ca_file, client_context, system_ca_file
from workers.tls.hosts import is_this_machine
from workers.tls.words import distrust_in_words

__all__ = [
    "check_ca_file",
    "client_context",
    "distrust_in_words",
    "is_this_machine",
    "system_ca_file",
]
