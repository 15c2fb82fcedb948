"""Applications at work beside a run: writers that note what was acknowledged, and a bystander."""

import json
import os
import random
import signal
import sys
import time
from itertools import count
from pathlib import Path

import psycopg

from workers.encryption import FieldCipher
from workers.telemetry import configure_logging

_ROWS_PER_TRANSACTION = 1


def write(place: str, number: int, writers: int) -> None:
    """Write encrypted values into one's own share of the rows, until SIGTERM; note the last ones.

    What stands in the notes was committed and acknowledged: it must be found afterwards.
    """
    told = json.loads(Path(place, "told.json").read_text(encoding="utf-8"))
    stopped = _stop_at_sigterm()
    acknowledged: dict[int, str] = {}
    mine = range(number, told["rows"], writers)
    chance = random.Random(number)
    with (
        FieldCipher.connect(database_url=told["url"], root_key=told["root_key"]) as cipher,
        psycopg.connect(told["url"]) as connection,
    ):
        for turn in count():
            if stopped:
                break
            row = mine[chance.randrange(len(mine))]
            value = f"{number}/{turn}"
            with (
                connection.transaction(),
                cipher.writing(connection, organization_id=told["organization_id"]) as writer,
            ):
                stored = writer.encrypt(told["field"], row=(row,), value=value.encode())
                connection.execute(
                    f"UPDATE {told['table']} SET card = %s WHERE id = %s", (stored, row)
                )
            acknowledged[row] = value
    Path(place, f"writer-{number}.json").write_text(json.dumps([turn, acknowledged]))


def stand_by(place: str) -> None:
    """Update another column of random rows, eighty times a second; note how long it took."""
    told = json.loads(Path(place, "told.json").read_text(encoding="utf-8"))
    stopped = _stop_at_sigterm()
    chance = random.Random(0)
    seconds = []
    with psycopg.connect(told["url"], autocommit=True) as connection:
        connection.execute(
            "SET synchronous_commit = off"
        )  # the wait for the disk is nobody's doing
        while not stopped:
            row = chance.randrange(told["rows"])
            began = time.perf_counter()
            connection.execute(
                f"UPDATE {told['table']} SET visits = visits + 1 WHERE id = %s", (row,)
            )
            seconds.append(time.perf_counter() - began)
            time.sleep(0.01)
    Path(place, "bystander.json").write_text(json.dumps(seconds))


def _stop_at_sigterm() -> list[int]:
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    return stopped


def main() -> None:
    """Be what the arguments say."""
    configure_logging("error", "text")
    what, place, *numbers = sys.argv[1:]
    os.environ.clear()
    if what == "write":
        write(place, int(numbers[0]), int(numbers[1]))
    else:
        stand_by(place)


if __name__ == "__main__":
    main()
