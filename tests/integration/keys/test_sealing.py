"""Sealed secrets: who can open them, where, and until when; also with an independent HPKE."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import ValidationError

from tests.servers.node import node_folder, run_node
from workers.contract import ExportKeystore
from workers.contract.secrets import purpose_of
from workers.database.pool import Connection, open_pool
from workers.errors import ConflictError, InvalidRequestError
from workers.keys.retiring import retire_root_key
from workers.keys.root_keys import RootKeys, UnknownRootKeyError
from workers.keys.root_keys.file import FileRootKey
from workers.keys.sealing import SUITE, PublishedKey, decode, encode, seal
from workers.keys.sealing_keys import (
    due_for_rotation,
    ensure_sealing_key,
    published_key,
    remove_expired,
    rewrap_sealing_keys,
    rotate_sealing_key,
)
from workers.keys.unsealing import SealedSecretError, Unsealer
from workers.organizations.store import add_organization

SECRET = "Marker-3c1d-sealed"
PLACE = {"organization": "Acme", "kind": "keystore.export", "argument": "password"}


@dataclass
class Safe:
    """A database with two organizations, and what opens secrets."""

    connection: Connection
    root_keys: RootKeys
    unsealer: Unsealer
    acme: int
    rival: int

    def open(
        self,
        sealed: str,
        *,
        organization: int | None = None,
        kind: str = "keystore.export",
        argument: str = "password",
    ) -> str:
        """Open as a worker does."""
        return self.unsealer.open(
            self.connection,
            sealed,
            organization_id=organization or self.acme,
            kind=kind,
            argument=argument,
        )


@pytest.fixture
def safe(connection: Connection, conninfo: str, tmp_path: Path) -> Iterator[Safe]:
    """A safe with a root key in a file."""
    acme, rival = (
        add_organization(connection, name=name, time_zone="UTC", sending_hour=8, is_sandbox=False)
        for name in ("Acme", "Rival")
    )
    root_keys = RootKeys(FileRootKey(tmp_path / "root.key", create_if_missing=True))
    with open_pool(conninfo, size=2, name="ledger") as pool:
        yield Safe(connection, root_keys, Unsealer(pool, root_keys), acme, rival)


def test_what_is_sealed_opens_where_it_was_meant_for_and_is_recorded(safe: Safe) -> None:
    sealed = seal(ensure_sealing_key(safe.connection, safe.root_keys), SECRET, **PLACE)
    assert SECRET not in sealed
    ExportKeystore(password=sealed)
    assert safe.open(sealed) == SECRET
    row = safe.connection.execute(
        "SELECT organization_id, after FROM keywright.audit_entry"
        " WHERE action = 'sealed_secret.open'"
    ).fetchone()
    assert row == (safe.acme, {"kind": "keystore.export", "argument": "password"})


def test_it_opens_nowhere_else(safe: Safe) -> None:
    sealed = seal(ensure_sealing_key(safe.connection, safe.root_keys), SECRET, **PLACE)
    head, _, text = sealed.rpartition(":")
    flipped = bytearray(decode(text))
    flipped[-1] ^= 1
    for wrong in (
        {"organization": safe.rival},
        {"kind": "keystore.import"},
        {"argument": "key_password"},
    ):
        with pytest.raises(SealedSecretError, match="was sealed for another") as refused:
            safe.open(sealed, **wrong)
        assert SECRET not in str(refused.value)
    for text in (encode(bytes(flipped)), encode(b"x" * 10), "A", ""):
        with pytest.raises(SealedSecretError, match="was altered"):
            safe.open(f"{head}:{text}")
    with pytest.raises(SealedSecretError, match="there is no sealing key 0123456789abcdef"):
        safe.open(f"sealed:v1:0123456789abcdef:{text}")


def test_the_key_before_opens_a_while_and_then_no_more(safe: Safe) -> None:
    first = ensure_sealing_key(safe.connection, safe.root_keys)
    sealed = seal(first, SECRET, **PLACE)
    second = rotate_sealing_key(safe.connection, safe.root_keys, expected=first.sealing_key_id)
    assert second != first
    assert published_key(safe.connection) == second
    assert (
        rotate_sealing_key(safe.connection, safe.root_keys, expected=first.sealing_key_id) == second
    )
    assert safe.open(sealed) == SECRET
    assert remove_expired(safe.connection) == 0
    safe.connection.execute(
        "UPDATE keywright.sealing_key SET opens_until = now() WHERE opens_until IS NOT NULL"
    )
    assert remove_expired(safe.connection) == 1
    fresh = Unsealer(safe.unsealer._ledger, safe.root_keys)
    with pytest.raises(SealedSecretError, match="that still opens"):
        fresh.open(
            safe.connection,
            sealed,
            organization_id=safe.acme,
            kind=PLACE["kind"],
            argument=PLACE["argument"],
        )


def test_a_key_is_due_after_ninety_days(safe: Safe) -> None:
    key = ensure_sealing_key(safe.connection, safe.root_keys)
    assert due_for_rotation(safe.connection, after=timedelta(days=90)) is None
    safe.connection.execute(
        "UPDATE keywright.sealing_key SET created_at = now() - %s", [timedelta(days=91)]
    )
    assert due_for_rotation(safe.connection, after=timedelta(days=90)) == key.sealing_key_id


def test_private_keys_follow_to_another_root_key(safe: Safe, tmp_path: Path) -> None:
    sealed = seal(ensure_sealing_key(safe.connection, safe.root_keys), SECRET, **PLACE)
    old = safe.root_keys.current
    new = FileRootKey(tmp_path / "new.key", create_if_missing=True)
    with pytest.raises(ConflictError, match="1 sealing keys are wrapped under"):
        retire_root_key(safe.connection, old.identifier, current=new.identifier)
    with pytest.raises(UnknownRootKeyError):
        rewrap_sealing_keys(safe.connection, RootKeys(new))
    assert rewrap_sealing_keys(safe.connection, RootKeys(new, [old])) == 1
    assert rewrap_sealing_keys(safe.connection, RootKeys(new, [old])) == 0
    assert retire_root_key(safe.connection, old.identifier, current=new.identifier) == 1
    alone = Unsealer(safe.unsealer._ledger, RootKeys(new))
    opened = alone.open(
        safe.connection,
        sealed,
        organization_id=safe.acme,
        kind="keystore.export",
        argument="password",
    )
    assert opened == SECRET


@pytest.mark.parametrize(
    "password",
    [SECRET, "", "sealed:v1:", "sealed:v2:0123456789abcdef:AAAA", "sealed:v1:x:AAAA", "x" * 5000],
)
def test_a_password_in_the_clear_is_refused_and_not_repeated(password: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ExportKeystore(password=password)
    assert SECRET not in str(refused.value)
    pattern = ExportKeystore.model_json_schema()["properties"]["password"]["anyOf"][0]["pattern"]
    assert not re.search(pattern, password) or len(password) > 4096


@pytest.mark.parametrize("secret", ["", "x" * 1025, "a\0b"])
def test_a_secret_that_will_not_do_is_refused(safe: Safe, secret: str) -> None:
    with pytest.raises(InvalidRequestError, match="1 to 1024 characters"):
        seal(ensure_sealing_key(safe.connection, safe.root_keys), secret, **PLACE)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"sealing_key_id": "x", "public_key": "AA"}'])
def test_what_is_no_published_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="no published sealing key"):
        PublishedKey.from_json(text)


HPKE = """
import { Aes256Gcm, CipherSuite, HkdfSha256 } from "@hpke/core";
import { DhkemX25519HkdfSha256 } from "@hpke/dhkem-x25519";
const suite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const given = JSON.parse(process.argv[2]);
const bytes = (text) => Buffer.from(text, "base64url");
const info = Buffer.from(given.info, "utf8");
const recipientKey = await suite.kem.deserializePrivateKey(bytes(given.privateKey));
const ours = bytes(given.sealed);
const recipient = await suite.createRecipientContext(
  { recipientKey, enc: ours.subarray(0, 32), info });
const opened = Buffer.from(await recipient.open(ours.subarray(32))).toString();
const recipientPublicKey = await suite.kem.deserializePublicKey(bytes(given.publicKey));
const sender = await suite.createSenderContext({ recipientPublicKey, info });
const text = await sender.seal(Buffer.from(given.secret, "utf8"));
const sealed = Buffer.concat([Buffer.from(sender.enc), Buffer.from(text)]);
console.log(JSON.stringify({ opened, sealed: sealed.toString("base64url") }));
"""


def test_another_implementation_opens_ours_and_ours_opens_its(tmp_path: Path) -> None:
    private_key = X25519PrivateKey.generate()
    info = purpose_of("Größe & Co", "keystore.export", "password")
    key = PublishedKey(
        sealing_key_id="0123456789abcdef", public_key=private_key.public_key().public_bytes_raw()
    )
    sealed = seal(
        key, SECRET, organization="Größe & Co", kind="keystore.export", argument="password"
    )
    program = node_folder(tmp_path / "node") / "hpke.mjs"
    program.write_text(HPKE, encoding="utf-8")
    given = {
        "info": info.decode(),
        "privateKey": encode(private_key.private_bytes_raw()),
        "publicKey": encode(key.public_key),
        "sealed": sealed.rpartition(":")[2],
        "secret": SECRET,
    }
    done = run_node(program, json.dumps(given))
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)
    assert theirs["opened"] == SECRET
    assert SUITE.decrypt(decode(theirs["sealed"]), private_key, info) == SECRET.encode()
