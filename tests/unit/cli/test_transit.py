"""What `keywright status` says of connections that somebody wanted unprotected."""

import pytest

from workers.cli.transit import unprotected
from workers.settings import load_settings


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("KEYWRIGHT_DATABASE_URL", "postgresql://u:hush@db.example.org/d"),
        ("KEYWRIGHT_DATABASE_URL", "postgresql://u:hush@db.example.org/d?sslmode=verify-ca"),
        ("KEYWRIGHT_DATABASE_URL", "postgresql://u:hush@localhost/d"),
        ("KEYWRIGHT_DATABASE_URL", "postgresql:///d?host=/run/postgresql&sslmode=disable"),
        ("KEYWRIGHT_CONNECTION_SHOP", "postgresql://u:hush@db.example.org/d"),
        ("KEYWRIGHT_BROKER_URL", "amqps://u:hush@mq.example.org/v"),
        ("KEYWRIGHT_BROKER_URL", "amqp://u:hush@localhost/v"),
        ("KEYWRIGHT_SMTP_URL", "smtp://mail.example.org"),
        ("KEYWRIGHT_SMTP_URL", "smtp://localhost"),
    ],
)
def test_nothing_is_said_of_what_is_verified_or_stays_here(variable: str, url: str) -> None:
    assert unprotected(load_settings({variable: url})) == []


@pytest.mark.parametrize(
    ("variable", "url", "said"),
    [
        ("DATABASE_URL", "postgresql://u:hush@db.example.org/d?sslmode=require", "sslmode=require"),
        ("DATABASE_URL", "postgresql://u:hush@db.example.org/d?sslmode=disable", "sslmode=disable"),
        ("CONNECTION_SHOP", "postgresql://u:hush@10.0.0.1/d?sslmode=prefer", "sslmode=prefer"),
        ("BROKER_URL", "amqp://u:hush@mq.example.org/v?tls=none", "tls=none"),
        ("SMTP_URL", "smtp://mail.example.org?tls=none", "tls=none"),
        ("SMTP_URL", "smtp://mail.example.org?tls=opportunistic", "tls=opportunistic"),
    ],
)
def test_what_is_not_is_named_with_what_makes_it_so(variable: str, url: str, said: str) -> None:
    [note] = unprotected(load_settings({f"KEYWRIGHT_{variable}": url}))
    assert note.startswith(f"KEYWRIGHT_{variable} says {said}: ")
    assert "hush" not in note
