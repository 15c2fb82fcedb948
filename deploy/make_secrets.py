#!/usr/bin/env python3
"""Make the passwords and the root key of compose.yaml, once, in the folder ``secrets`` beside it.

Usage: python3 deploy/make_secrets.py [FOLDER]

Needs nothing but Python. An existing folder is left alone, for the servers already know its
passwords. To send real mail, write the mail server into ``smtp_url``.
"""

import json
import os
import secrets
import sys
import tempfile
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

VIRTUAL_HOST = "keywright"


def main() -> int:
    """Write all files or none; return the exit code."""
    default = Path(__file__).parents[1] / "secrets"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    if folder.exists():
        sys.stderr.write(f"{folder} is there already; remove it first if you mean to start anew.\n")
        return 1
    unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    for name, content in secret_files().items():
        path = unfinished / name
        path.write_text(content, encoding="utf-8")
        # Each container reads its files as a user of its own, and Compose mounts files with the
        # mode they have. Other users of this machine are kept out by the folder, which is 0700.
        path.chmod(0o444)
    unfinished.rename(folder)
    sys.stdout.write(
        f"Wrote {folder}. RabbitMQ's page is for the user operator, with the password in"
        f" {folder / 'rabbitmq_operator_password'}.\n"
    )
    return 0


def secret_files() -> dict[str, str]:
    """Return name and content of every file, with new passwords."""
    database, broker, operator = (secrets.token_hex(24) for _ in range(3))
    return {
        "postgres_password": secrets.token_hex(24),
        "database_password": database,
        "database_url": f"postgresql://keywright:{database}@postgres:5432/keywright",
        # What all master keys are wrapped with: keep a copy where no backup of the database is.
        "root_key": b64encode(secrets.token_bytes(32)).decode(),
        "broker_url": f"amqp://keywright:{broker}@rabbitmq:5672/{VIRTUAL_HOST}",
        "smtp_url": "smtp://mailpit:1025",
        "rabbitmq_definitions.json": json.dumps(definitions(broker, operator), indent=2),
        "rabbitmq_operator_password": operator,
    }


def definitions(broker_password: str, operator_password: str) -> dict[str, object]:
    """Describe RabbitMQ's users: keywright, at home in its virtual host, and one who looks on."""
    return {
        "vhosts": [{"name": VIRTUAL_HOST}],
        "users": [
            user("keywright", broker_password, tags=[]),
            user("operator", operator_password, tags=["monitoring"]),
        ],
        "permissions": [
            permission("keywright", configure=".*", write=".*", read=".*"),
            permission("operator", configure="", write="", read=".*"),
        ],
    }


def user(name: str, password: str, *, tags: list[str]) -> dict[str, object]:
    """Describe a user with a salted hash (RabbitMQ's “Password Hashing Algorithm”)."""
    salt = os.urandom(4)
    digest = sha256(salt + password.encode()).digest()
    return {
        "name": name,
        "password_hash": b64encode(salt + digest).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": tags,
    }


def permission(name: str, *, configure: str, write: str, read: str) -> dict[str, str]:
    """Describe what a user may do in the virtual host; the empty pattern means nothing."""
    return {
        "user": name,
        "vhost": VIRTUAL_HOST,
        "configure": configure,
        "write": write,
        "read": read,
    }


if __name__ == "__main__":
    sys.exit(main())
