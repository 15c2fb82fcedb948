"""Gives announcements to RabbitMQ: each subject's in order, at least once, under the same id.

A later announcement of a subject goes out only when the broker has confirmed the earlier; different
subjects go together. One relay works at a time, by a lock that ends with its connection; another
scheduler's takes over then. A relay that was cut off between confirmation and record publishes
again, in the same order and with the same ids, so consumers lose nothing and can tell copies.
"""

import time
from collections.abc import Sequence

import structlog
from pika.channel import Channel

from workers.announcements.messages import EXCHANGE, message
from workers.announcements.reading import (
    Announced,
    installation_id,
    mark_relayed,
    unrelayed,
)
from workers.announcements.resting import Resting
from workers.announcements.waves import Outcome, publish_in_order
from workers.database.pool import DATABASE_TROUBLE, Acting, Connection, connect
from workers.database.session_lock import take_session_lock
from workers.errors import TransientError
from workers.jobs.confirming import ConfirmingPublisher

log = structlog.get_logger(__name__)

AT_A_TIME = 500
_RELAY_LOCK = 0x616E6E6F  # any number that nothing else locks: "anno"
_ITSELF = Acting("keywright:scheduler", "schedule")


def declare_events(channel: Channel) -> None:
    """Declare the exchange of announcements; who listens declares and binds a queue."""
    channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True)


class AnnouncementRelay:
    """Relays what no relay has relayed; ``step`` is for one loop, which no other thread calls."""

    def __init__(self, conninfo: str, broker_url: str, *, at_a_time: int = AT_A_TIME) -> None:
        self._conninfo = conninfo
        self._publisher = ConfirmingPublisher(broker_url, declare_events, name="announcer")
        self._at_a_time = at_a_time
        self._connection: Connection | None = None
        self._holds = False
        self._resting = Resting()

    def step(self) -> int:
        """Relay some announcements and return how many; 0 also while another relay is at work.

        Raises:
            TransientError: the broker or the database is away.
        """
        try:
            connection = self._hold()
            if connection is None:
                return 0
            announced = unrelayed(
                connection, limit=self._at_a_time, leave_out=self._resting.at(time.monotonic())
            )
            if announced:
                self._relay(connection, announced)
        except (TransientError, *DATABASE_TROUBLE):
            # The lock goes, too: another scheduler may have better luck.
            self._let_go()
            raise
        return len(announced)

    def close(self) -> None:
        """Let another relay take over."""
        self._let_go()
        self._publisher.close()

    def _hold(self) -> Connection | None:
        """Return the connection that holds the lock; None while somebody else does."""
        if self._connection is None:
            self._connection = connect(self._conninfo, name="announcement relay", acting=_ITSELF)
            self._holds = False
        if not self._holds:
            self._holds = take_session_lock(self._connection, _RELAY_LOCK)
            if not self._holds:
                return None
            log.debug("announcements are relayed here")
        return self._connection

    def _relay(self, connection: Connection, announced: Sequence[Announced]) -> None:
        source = installation_id(connection)
        outcome = Outcome()

        def publish(wave: Sequence[Announced]) -> set[int]:
            return self._publisher.publish([message(each, source) for each in wave])

        try:
            publish_in_order(announced, publish, outcome)
        finally:
            if outcome.confirmed:
                mark_relayed(connection, outcome.confirmed)
        tried = {each.organization_id or 0 for each in announced}
        refused = {each.organization_id or 0 for each in outcome.held_back}
        self._resting.note(tried=tried, refused=refused, now=time.monotonic())
        if refused:
            log.warning(
                "announcements were not confirmed and are tried again",
                count=len(outcome.held_back),
                organization_ids=sorted(refused),
            )

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
