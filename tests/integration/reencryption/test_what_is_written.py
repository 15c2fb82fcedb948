"""What a run writes: counted as uses of the key, and never into a row of somebody else."""

from collections.abc import Callable

import pytest

from tests.integration.reencryption.holding import Holding
from tests.integration.reencryption.stage import Stage
from workers.keys.listing import show_key

pytestmark = pytest.mark.usefixtures("small_pieces")

BeforeTransactions = Callable[[Callable[[int], object]], None]


def test_every_value_that_a_run_encrypts_is_counted_as_a_use_of_its_key(
    stage: Stage, customers: Holding
) -> None:
    assert stage.rotate() == 2
    assert show_key(stage.connection, stage.acme, 2).uses_leased == 0
    stage.complete()
    used = show_key(stage.connection, stage.acme, 2).uses_leased
    assert used >= customers.count_values()


def test_a_row_that_goes_to_another_organization_meanwhile_is_not_encrypted_for_the_former(
    stage: Stage, before_transactions: BeforeTransactions
) -> None:
    holding = Holding(stage).create(state="plaintext").fill_numbers(60)
    before = holding.value((50,))
    assert before is not None

    def give_away(number: int) -> None:
        if number == 1:
            holding.execute(f"UPDATE @ SET tenant = {stage.globex} WHERE id = 50")

    before_transactions(give_away)
    stage.complete("encrypt", *holding.field_names)
    assert holding.stored(stage.globex)[(50,)]["card"] == before
