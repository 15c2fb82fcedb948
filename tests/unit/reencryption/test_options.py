"""What can be chosen for a run."""

import json

import pytest

from workers.errors import InvalidRequestError
from workers.reencryption.options import MOST_WORKERS, RunOptions
from workers.reencryption.pacing import Limits


def test_they_come_back_from_json_as_they_went() -> None:
    options = RunOptions(
        workers=5,
        most_quarantined=3,
        limits=Limits(aim_seconds=0.02, replication_lag_bytes=None, wal_bytes_per_second=10**7),
    )
    assert RunOptions.from_json(json.loads(json.dumps(options.to_json()))) == options
    assert RunOptions.from_json(RunOptions().to_json()) == RunOptions()


@pytest.mark.parametrize("workers", [0, -1, MOST_WORKERS + 1])
def test_a_run_has_some_workers_and_not_too_many(workers: int) -> None:
    with pytest.raises(InvalidRequestError, match=f"workers: 1 to {MOST_WORKERS}"):
        RunOptions(workers=workers)
