"""One statement for all who want the same at the same moment, as a database's group commit does.

While one thread waits for the database, the others line up; the next to go takes all of them along.
Alone, a thread goes at once: at low load nothing waits for company.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Asked(Generic[Item, Result]):
    __slots__ = ("error", "is_done", "item", "result")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.is_done = False
        self.result: Result
        self.error: Exception | None = None


class Together(Generic[Item, Result]):
    """Calls ``run`` with the items of all waiting threads; it returns as many results, in order."""

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        everybodys: tuple[type[Exception], ...] = (),
    ) -> None:
        """Take errors of the types ``everybodys`` for everybody's: the database is away."""
        self._run = run
        self._everybodys = everybodys
        self._waiting: list[_Asked[Item, Result]] = []
        self._lining_up = threading.Lock()
        self._turn = threading.Lock()

    def __call__(self, item: Item) -> Result:
        """Return the result for ``item``.

        Raises: what ``run`` raises for this item.
        """
        mine: _Asked[Item, Result] = _Asked(item)
        with self._lining_up:
            self._waiting.append(mine)
        with self._turn:
            if not mine.is_done:
                self._serve_all()
        if mine.error is not None:
            raise mine.error
        return mine.result

    def _serve_all(self) -> None:
        with self._lining_up:
            served, self._waiting = self._waiting, []
        alone: list[_Asked[Item, Result]] = []
        try:
            self._serve(served)
        except self._everybodys as error:
            for asked in served:
                asked.error = error
        except Exception as error:  # noqa: BLE001  # raised again by whom it concerns
            # Find out whose error it is: one that cannot be served must not spoil the others.
            alone = served if len(served) > 1 else []
            served[0].error = error
        for asked in alone:
            asked.error = self._error_of(asked)
        for asked in served:
            asked.is_done = True

    def _serve(self, served: Sequence[_Asked[Item, Result]]) -> None:
        results = self._run([asked.item for asked in served])
        for asked, result in zip(served, results, strict=True):
            asked.result = result

    def _error_of(self, asked: _Asked[Item, Result]) -> Exception | None:
        try:
            self._serve([asked])
        except Exception as error:  # noqa: BLE001  # raised again by who asked
            return error
        return None
