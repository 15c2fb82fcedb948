"""Signatures that every library of Standard Webhooks verifies."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
import time_machine
from standardwebhooks import Webhook, WebhookVerificationError

from workers.webhooks.signing import new_secret, signed_headers

EVENT = UUID("6f0c1a6e-0a3a-4c0e-8a54-3b1d7c1b6a11")
NOW = datetime(2026, 11, 27, 12, 0, 0, 750_000, tzinfo=UTC)
BODY = '{"name":"Ä — ü"}'


def test_a_secret_is_32_random_bytes_with_the_prefix() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32


def test_the_signature_is_the_one_that_the_specification_describes() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signed_headers(BODY, event_id=EVENT, now=NOW, secrets=[secret])
    assert headers["webhook-id"] == str(EVENT)
    assert headers["webhook-timestamp"] == "1795780800"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{EVENT}.1795780800.{BODY}".encode()
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.parametrize("hours", [0, 5, -11], ids=["UTC", "east", "west"])
def test_the_time_is_the_same_in_every_zone(hours: int) -> None:
    secret = new_secret()
    here = NOW.astimezone(timezone(timedelta(hours=hours)))
    headers = signed_headers(BODY, event_id=EVENT, now=here, secrets=[secret])
    assert headers == signed_headers(BODY, event_id=EVENT, now=NOW, secrets=[secret])
    with time_machine.travel(NOW):
        Webhook(secret).verify(BODY, headers)


def test_while_one_secret_takes_the_place_of_another_either_verifies() -> None:
    former, latter, strange = new_secret(), new_secret(), new_secret()
    headers = signed_headers(BODY, event_id=EVENT, now=NOW, secrets=[latter, former])
    with time_machine.travel(NOW):
        for secret in (former, latter):
            assert Webhook(secret).verify(BODY, headers) == {"name": "Ä — ü"}
        with pytest.raises(WebhookVerificationError):
            Webhook(strange).verify(BODY, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(latter).verify(BODY.replace("ü", "u"), headers)
