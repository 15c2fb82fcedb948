"""A requester that has nothing but its login in SQL seals a password, and no other text passes."""

import pytest

from tests.integration.requesters.crm import Crm
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey
from workers.keys.sealing import PublishedKey, seal
from workers.keys.sealing_keys import ensure_sealing_key

SECRET = "Marker-88d1 in the clear"
SEALED = f"sealed:v1:0123456789abcdef:{'A' * 66}"


@pytest.fixture
def published(crm: Crm, tmp_path_factory: pytest.TempPathFactory) -> PublishedKey:
    """What the requester reads."""
    root_key = FileRootKey(tmp_path_factory.mktemp("keys") / "root.key", create_if_missing=True)
    ensure_sealing_key(crm.owner, RootKeys(root_key))
    row = crm.own.execute(
        "SELECT sealing_key_id, public_key FROM keywright.sealing_key_to_use"
    ).fetchone()
    assert row is not None
    return PublishedKey(sealing_key_id=row[0], public_key=row[1])


def test_a_sealed_password_is_accepted(crm: Crm, published: PublishedKey) -> None:
    for secret in ("x", "\U0001f511" * 1024):
        sealed = seal(
            published, secret, organization="Acme", kind="keystore.export", argument="password"
        )
        job_id = crm.ask("keystore.export", {"password": sealed})
        kept = "SELECT arguments ->> 'password' FROM keywright.job WHERE job_id = %s"
        assert crm.one(kept, job_id) == sealed


@pytest.mark.parametrize(
    "password",
    [
        SECRET,
        "",
        SEALED[:-1],
        f"{SEALED}{'A' * 6000}",
        f"{SEALED}\n",
        f"{SEALED}\n{SECRET}",
        f"{SECRET}\n{SEALED}",
        {"sealed": SEALED},
        [SEALED],
        7,
    ],
    ids=lambda password: f"{type(password).__name__}-{len(str(password))}",
)
def test_anything_else_is_refused_and_not_repeated(crm: Crm, password: object) -> None:
    state, sentence = crm.refusal("keystore.export", {"password": password})
    assert state == "22023"
    assert sentence.startswith("password: ")
    assert "Marker" not in sentence
    assert crm.jobs() == 0


def test_a_requester_sees_no_private_key_and_no_former_one(
    crm: Crm, published: PublishedKey
) -> None:
    rows = crm.own.execute("SELECT * FROM keywright.sealing_key_to_use").fetchall()
    assert [row[0] for row in rows] == [published.sealing_key_id]
    for table in ("sealing_key", "sealing_key_wrap"):
        assert crm.one(
            f"SELECT NOT has_table_privilege(%s, 'keywright.{table}', 'SELECT')", crm.role
        )
