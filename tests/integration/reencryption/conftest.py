from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.integration.announcements.catalogue import announced_as_the_catalogue_says
from tests.integration.jobs.workbench import Workbench
from tests.integration.reencryption.ground import Ground
from tests.integration.reencryption.holding import Holding
from tests.integration.reencryption.stage import Stage
from tests.servers.postgres import PostgresServer
from workers.database.pool import open_pool
from workers.reencryption import order, pacing, planning, reading, rewriting, signals


@pytest.fixture(scope="session")
def ground(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One database for all tests of this folder, and another without our schema: ``billing``."""
    with (
        postgres.database() as conninfo,
        announced_as_the_catalogue_says(conninfo),
        postgres.database(schema=False) as other,
        open_pool(conninfo, size=8, name="stage") as pool,
        open_pool(conninfo, size=4, name="ledger", index_only=True) as ledger,
        open_pool(conninfo, size=4, name="worker") as worker_pool,
        psycopg.connect(conninfo, autocommit=True) as connection,
    ):
        workbench = Workbench(ledger, worker_pool)
        yield Ground(
            conninfo=conninfo,
            other=other,
            pool=pool,
            connection=connection,
            workbench=workbench,
            folder=tmp_path_factory.mktemp("keys"),
        )
        workbench.keeper.stop()


@pytest.fixture
def stage(ground: Ground) -> Stage:
    """Two new organizations with keys, and everything that works for them."""
    ground.clear()
    return Stage(ground)


@pytest.fixture
def customers(stage: Stage) -> Holding:
    """600 rows of the first organization, with one encrypted column."""
    return Holding(stage).create().fill_numbers(600)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have small tables divided and rewritten as if they were large: in many steps."""
    monkeypatch.setattr(planning, "FEWEST_BLOCKS", 4)
    monkeypatch.setattr(reading, "_FIRST_BLOCKS", 2)
    monkeypatch.setattr(order, "STRIDES", 3)
    monkeypatch.setattr(order, "LANES", 1)
    monkeypatch.setattr(order, "_FEWEST_PER_TRANSACTION", 5)
    monkeypatch.setattr(rewriting, "FIRST_ROWS", 20)
    monkeypatch.setattr(pacing, "MOST_ROWS", 20)
    monkeypatch.setattr(signals, "PERIOD_SECONDS", 0.02)


@pytest.fixture
def before_transactions(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Callable[[int], object]], None]:
    """Have something done before each transaction that writes, given its number."""

    def install(act: Callable[[int], object]) -> None:
        divide, number = order.in_strides, 0

        def in_strides(count: int) -> Iterator[range]:
            nonlocal number
            for indices in divide(count):
                number += 1  # before: what is done may write in its turn
                act(number)
                yield indices

        monkeypatch.setattr(order, "in_strides", in_strides)

    return install
