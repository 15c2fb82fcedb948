"""Keeping a bundle up to date by looking again and again: the bound of the delay (rule 36).

It polls, since ends of certificates come with time alone and are announced by nobody, and since a
poll is right again after any outage; see docs/decisions/0002.
"""

import threading
from collections.abc import Callable

from workers.certificates.mutual_tls.refreshing import Refreshed
from workers.errors import TransientError


def watch(
    refresh: Callable[[], Refreshed],
    *,
    every_seconds: float,
    stop: threading.Event,
    report: Callable[[Refreshed], None],
    complain: Callable[[str], None],
) -> None:
    """Refresh at once, and then every so many seconds until ``stop`` is set.

    What is not available right now, such as the database, is complained of and tried again; the
    listener keeps what it has meanwhile. Any other error ends it.
    """
    while not stop.is_set():
        try:
            report(refresh())
        except TransientError as error:
            complain(str(error))
        stop.wait(every_seconds)
