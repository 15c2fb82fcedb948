"""Hundreds of bad requests in SQL: each has its reason, and nothing has changed afterwards."""

import json

import psycopg
import pytest
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from tests.integration.hostile_requests import GOOD, MARKER, Bad, combinations, kinds, mutations
from tests.integration.requesters.crm import ASK, Crm
from workers.contract import JobRequest

# What pydantic checks beyond the schema; such a job is taken in, and its worker refuses it.
BEYOND_THE_SCHEMA = (
    "one line of printable characters",
    "an address such as",
    "two letters",
    "at most 64 bytes",
    "private key",
)


def verdict(request: type[JobRequest], arguments: object) -> str | None:
    """Return what the contract has against arguments; None: nothing."""
    try:
        request.model_validate_json(json.dumps(arguments), strict=True)
    except ValidationError as error:
        return "; ".join(each["msg"] for each in error.errors(include_input=False))
    return None


def test_every_kind_has_a_good_example_and_it_is_taken(crm: Crm) -> None:
    assert GOOD.keys() == kinds().keys()
    for kind, arguments in GOOD.items():
        assert verdict(kinds()[kind], arguments) is None, kind
        crm.ask(kind, arguments)
    assert crm.jobs() == len(GOOD)


@pytest.mark.parametrize("seed", range(4))
def test_combinations_are_refused_as_the_contract_refuses_them(crm: Crm, seed: int) -> None:
    compare(crm, list(combinations(300, seed=seed)))


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_one_wrong_thing_is_refused_as_the_contract_refuses_it(crm: Crm, kind: str) -> None:
    compare(crm, [each for each in mutations() if each.request.kind == kind])


def refusal(crm: Crm, bad: Bad) -> psycopg.DatabaseError | None:
    """Ask, and return why not; None where the job was taken."""
    try:
        crm.own.execute(ASK, [bad.request.kind, Jsonb(bad.arguments), "Acme", None, None])
    except psycopg.DatabaseError as error:
        return error
    return None


def compare(crm: Crm, tries: list[Bad]) -> None:
    """Try all, and hold what SQL says against what the contract says."""
    refused = taken = 0
    for bad in tries:
        expected = verdict(bad.request, bad.arguments)
        if bad.how == "saying who asks":
            expected = "it is known who asks"
        error = refusal(crm, bad)
        if error is None:
            beyond = expected is None or any(each in expected for each in BEYOND_THE_SCHEMA)
            assert beyond, (bad.how, expected)
            taken += 1
            continue
        assert error.sqlstate in ("22023", "54000"), (bad.how, str(error))
        assert MARKER not in str(error), bad.how
        assert len(str(error.diag.message_primary)) < 600
        # A number of seconds is a time for pydantic, and none for JSON Schema.
        assert expected is not None or "RFC 3339" in str(error), (bad.how, str(error))
        refused += 1
    assert refused > len(tries) / 4
    assert crm.jobs() == taken
