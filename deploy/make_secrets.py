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

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from workers.jobs.broker_users import KEYWRIGHT, OPERATOR, SCHEDULER, WORKER, definitions  # noqa: E402

VIRTUAL_HOST = "keywright"

# What the roles of the database may do is said by deploy/create-database.sql and schema.sql.
DATABASE_LOGINS = {
    "owner": "keywright_owner",
    "scheduler": "keywright_scheduler_login",
    "worker": "keywright_worker_login",
}
BROKER_USERS = {"scheduler": SCHEDULER, "worker": WORKER}


def main() -> int:
    """Write all files or none; return the exit code."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "secrets"
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
        f"Wrote {folder}. RabbitMQ's page is for the user {OPERATOR}, with the password in"
        f" {folder / 'rabbitmq_operator_password'}.\n"
    )
    return 0


def secret_files() -> dict[str, str]:
    """Return name and content of every file, with new passwords.

    The three servers are on the internal network of compose.yaml, where nobody else is: that they
    are not encrypted is said in each URL, for keywright would refuse it otherwise.
    """
    files = {
        "postgres_password": new_password(),
        # What all master keys are wrapped with: keep a copy where no backup of the database is.
        "root_key": b64encode(secrets.token_bytes(32)).decode(),
        "smtp_url": "smtp://mailpit:1025?tls=none",
    }
    for process, login in DATABASE_LOGINS.items():
        password = files[f"database_{process}_password"] = new_password()
        files[f"database_{process}_url"] = (
            f"postgresql://{login}:{password}@postgres:5432/keywright?sslmode=disable"
        )
    passwords = {each.user: new_password() for each in KEYWRIGHT}
    for process, name in BROKER_USERS.items():
        files[f"broker_{process}_url"] = (
            f"amqp://{name}:{passwords[name]}@rabbitmq:5672/{VIRTUAL_HOST}?tls=none"
        )
    files["rabbitmq_operator_password"] = passwords[OPERATOR]
    files["rabbitmq_definitions.json"] = json.dumps(broker_definitions(passwords), indent=2)
    return files


def new_password() -> str:
    """Return what nobody can guess, in signs that need no quoting anywhere."""
    return secrets.token_hex(24)


def broker_definitions(passwords: dict[str, str]) -> dict[str, object]:
    """Describe RabbitMQ's users, at home in keywright's virtual host, and what they may do."""
    return {
        "vhosts": [{"name": VIRTUAL_HOST}],
        "users": [user(each.user, passwords[each.user], tags=[*each.tags]) for each in KEYWRIGHT],
        **definitions(KEYWRIGHT, VIRTUAL_HOST),
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


if __name__ == "__main__":
    sys.exit(main())
