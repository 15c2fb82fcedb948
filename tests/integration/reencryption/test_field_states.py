"""What a run makes of the state of a field, also one that several organizations share."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.reencryption.holding import Holding
from tests.integration.reencryption.stage import Stage
from workers.errors import ConflictError
from workers.organizations.store import add_organization
from workers.reencryption import steps
from workers.reencryption.control import cancel_run
from workers.reencryption.dry_run import try_run
from workers.reencryption.store import Purpose

pytestmark = pytest.mark.usefixtures("small_pieces")

BeforeTransactions = Callable[[Callable[[int], object]], None]


@pytest.fixture
def shared(stage: Stage) -> Holding:
    """A column of plaintext, of two organizations."""
    holding = Holding(stage).create(state="plaintext").fill_numbers(100)
    return holding.fill_numbers(100, first=1001, owner=stage.globex)


def test_a_field_is_encrypted_once_all_its_organizations_are_through(
    stage: Stage, shared: Holding
) -> None:
    stage.complete("encrypt", *shared.field_names)
    assert shared.state() == "encrypting"
    shared.assert_nothing_lost()
    stage.complete("encrypt", *shared.field_names, organization_id=stage.globex)
    assert shared.state() == "encrypted"
    shared.assert_nothing_lost()
    assert shared.numbers() == Counter({1: shared.count_values()})
    assert shared.numbers(stage.globex) == Counter({1: shared.count_values(stage.globex)})


def test_a_dry_run_leaves_an_organization_without_a_key_as_it_is(
    stage: Stage, shared: Holding
) -> None:
    newcomer = add_organization(
        stage.connection,
        name=f"Newcomer of {stage.name}",
        time_zone="UTC",
        sending_hour=8,
        is_sandbox=False,
    )
    found = try_run(
        stage.connection,
        stage.tools,
        organization_id=newcomer,
        purpose="encrypt",
        field_names=shared.field_names,
    )
    assert found.target_number == 1  # the run would make it
    assert stage.keyring.active_number(newcomer) is None
    stage.complete("encrypt", *shared.field_names, organization_id=newcomer)
    assert stage.keyring.active_number(newcomer) == 1


def test_whoever_writes_for_another_organization_as_before_is_waited_for_too(
    stage: Stage, shared: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "FENCE_SECONDS", 0.05)
    with stage.application() as slow:
        with stage.cipher.writing(slow, organization_id=stage.globex):
            pass
        run_id = stage.start("encrypt", *shared.field_names)
        stage.execute_next()
        run = stage.run(run_id)
        assert run.state == "starting"
        assert f"process {slow.info.backend_pid} " in str(run.waiting_for)
    assert stage.settle(run_id).state == "completed"
    shared.assert_nothing_lost()


@pytest.mark.parametrize("purpose", ["reencrypt", "decrypt"])
def test_a_run_is_not_through_before_two_censuses_have_found_nothing(
    stage: Stage, customers: Holding, monkeypatch: pytest.MonkeyPatch, purpose: Purpose
) -> None:
    count, left = steps._count_left, list[int]()

    def count_left(*given: Any) -> int:
        left.append(count(*given))
        if len(left) == 1:
            return 7  # as if somebody had written meanwhile what is to be done again
        return left[-1]

    monkeypatch.setattr(steps, "_count_left", count_left)
    stage.rotate()
    stage.complete(purpose, *customers.field_names)
    # Values under a key are opened before the end, and counted once more after that.
    assert len(left) == (4 if purpose == "reencrypt" else 3)
    customers.assert_nothing_lost()


def test_a_field_is_plaintext_once_all_its_organizations_are_through(
    stage: Stage, shared: Holding
) -> None:
    for organization_id in (stage.acme, stage.globex):
        stage.complete("encrypt", *shared.field_names, organization_id=organization_id)
    stage.complete("decrypt", *shared.field_names)
    assert shared.state() == "decrypting"
    shared.assert_nothing_lost()
    stage.complete("decrypt", *shared.field_names, organization_id=stage.globex)
    assert shared.state() == "plaintext"
    assert shared.numbers(stage.globex) == Counter({None: shared.count_values(stage.globex)})
    shared.assert_nothing_lost()


def test_re_encryption_takes_the_plaintext_of_a_field_that_is_being_encrypted(
    stage: Stage, shared: Holding
) -> None:
    stage.complete("encrypt", *shared.field_names)
    stage.complete(organization_id=stage.globex)  # as after a rotation by policy
    assert stage.quarantine() == {}
    assert shared.numbers(stage.globex) == Counter({1: shared.count_values(stage.globex)})
    assert shared.state() == "encrypted"
    shared.assert_nothing_lost()


@pytest.mark.parametrize("before", ["encrypt", "decrypt"])
@pytest.mark.parametrize("after", ["encrypt", "decrypt"])
def test_a_run_that_was_cancelled_half_way_can_be_gone_on_with_or_undone(
    stage: Stage, before_transactions: BeforeTransactions, before: Purpose, after: Purpose
) -> None:
    holding = Holding(stage).create(state="plaintext" if before == "encrypt" else "encrypted")
    holding.fill_numbers(300)
    run_id = stage.start(before, *holding.field_names)
    before_transactions(lambda n: n == 5 and cancel_run(stage.connection, run_id))
    assert stage.settle(run_id).state == "cancelled"
    assert len(holding.numbers()) == 2
    holding.assert_nothing_lost()
    stage.rotate()
    holding.update((7,), {"card": b"in between"})
    holding.assert_nothing_lost()
    stage.complete(after, *holding.field_names)
    number = 2 if after == "encrypt" else None
    assert holding.numbers() == Counter({number: holding.count_values()})
    assert holding.state() == ("encrypted" if after == "encrypt" else "plaintext")
    holding.assert_nothing_lost()


def test_decryption_leaves_the_field_readable_as_long_as_something_does_not_open(
    stage: Stage,
) -> None:
    holding = Holding(stage).create().fill_numbers(100)
    value = holding.value((61,))
    holding.spoil((61,), value[:-1] + bytes([value[-1] ^ 1]))
    stage.complete("decrypt", *holding.field_names)
    assert holding.state() == "decrypting"
    assert stage.quarantine() == {("card", "61"): "tag_mismatch"}
    holding.spoil((61,), value)
    stage.complete("decrypt", *holding.field_names)
    assert holding.state() == "plaintext"
    assert stage.quarantine() == {}
    holding.assert_nothing_lost()


def test_a_purpose_that_does_not_fit_the_state_is_refused(stage: Stage, shared: Holding) -> None:
    purposes: tuple[Purpose, ...] = ("reencrypt", "decrypt")
    for purpose in purposes:
        with pytest.raises(ConflictError, match="is in state plaintext"):
            stage.start(purpose, *shared.field_names)
    assert stage.unfinished_jobs() == 0


def test_plaintext_that_looks_like_a_ciphertext_is_encrypted_like_any_other(stage: Stage) -> None:
    holding = Holding(stage, columns={"card": "text", "iban": "bytea"}).create(state="plaintext")
    holding.fill_numbers(20)
    texts = ["kwE!!!!!", "kwEé", "kwEAAAAA", "kwEAAAAAAB", "kwEAAAAC", "kw", "k"]
    for number, text in enumerate(texts, 1):
        long = text + "x" * 60
        holding.update((number,), {"card": long, "iban": b"\x93\x01\0\0\0\x09" + long.encode()})
    holding.update((10,), {"card": "kwE", "iban": b"\x93\x01\0\0\0\0" + bytes(40)})
    holding.update((11,), {"card": "", "iban": b"\x93\x01"})
    stage.complete("encrypt", *holding.field_names)
    assert stage.quarantine() == {}
    assert holding.numbers() == Counter({1: holding.count_values()})
    holding.assert_nothing_lost()
    stage.complete("decrypt", *holding.field_names)
    holding.assert_nothing_lost()
