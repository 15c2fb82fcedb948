"""An organization whose announcements are told to webhooks, in the thread of the test."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.integration.announcements.town_crier import organization, settle, tell
from tests.integration.jobs.workbench import Workbench
from tests.servers.receiver import Received, Reply
from workers.announcements.webhooks_due import webhook_step
from workers.certificates.tools import CertificateTools
from workers.contract import DeliverWebhooks
from workers.database.pool import Connection, database_clock
from workers.jobs.inspection import JobDetails, show_job
from workers.tls import client_context
from workers.webhooks.calling import Caller
from workers.webhooks.connecting import Resolve, look_up
from workers.webhooks.deliveries import Delivery, list_deliveries
from workers.webhooks.endpoints import add_endpoint, find_endpoint
from workers.webhooks.store import Endpoint


def refusing(*numbers: int, status: int = 500) -> Callable[[Received], Reply]:
    """Return what refuses messages with some numbers."""

    def answer(request: Received) -> Reply:
        return Reply(status if request.event["data"]["number"] in numbers else 204)

    return answer


@dataclass
class Telling:
    """What a scheduler and a worker do, step by step."""

    connection: Connection
    tools: CertificateTools
    workbench: Workbench
    acme: int
    resolve: Resolve = look_up
    tls: ssl.SSLContext | None = None
    total_seconds: float = 10

    @classmethod
    def of(cls, connection: Connection, tools: CertificateTools, workbench: Workbench) -> "Telling":
        """Add an organization."""
        return cls(connection, tools, workbench, organization(connection, "Acme"))

    def add(
        self,
        url: str,
        *,
        name: str = "billing",
        kinds: Sequence[str] = (),
        allow_private: bool = True,
        of: int | None = None,
    ) -> str:
        """Add an endpoint; return its secret."""
        _, secret = add_endpoint(
            self.connection,
            self.tools.cipher,
            organization_id=of or self.acme,
            name=name,
            url=url,
            kinds=kinds,
            allow_private=allow_private,
        )
        return secret

    @property
    def now(self) -> datetime:
        """The database's clock."""
        return database_clock(self.connection)

    def endpoint(self, name: str = "billing") -> Endpoint:
        """Return an endpoint as it is now."""
        return find_endpoint(self.connection, organization_id=self.acme, name=name)

    def tell(self, *numbers: int, subject: str = "master-key/1/1") -> None:
        """Announce numbers of a subject, and let them be settled."""
        for number in numbers:
            tell(self.connection, self.acme, subject, number)
        settle(self.connection)

    def caller(self) -> Caller:
        """Return what a worker calls endpoints with."""
        return Caller(
            self.tools.cipher,
            tls=self.tls or client_context(),
            resolve=self.resolve,
            total_seconds=self.total_seconds,
        )

    def ask(self) -> int:
        """Do one step of the scheduler; return how many jobs it asked for."""
        return webhook_step(self.workbench.ledger)()

    def work(self) -> list[JobDetails]:
        """Ask for what is due, do it, and return the jobs."""
        self.ask()
        jobs = self.connection.execute(
            "SELECT job_id FROM keywright.job WHERE kind = 'webhook.deliver'"
            " AND state IN ('scheduled', 'ready') ORDER BY job_id"
        ).fetchall()
        execution = self.workbench.execution({DeliverWebhooks: self.caller().deliver_webhooks})
        for (job_id,) in jobs:
            execution.execute(job_id)
        return [show_job(self.connection, job_id) for (job_id,) in jobs]

    def result(self) -> dict[str, Any] | None:
        """Do what is due of one endpoint and return what the job says."""
        [job] = self.work()
        assert job.problem is None
        return job.result

    def deliveries(self, name: str = "billing") -> list[Delivery]:
        """Return all deliveries of an endpoint, oldest first."""
        endpoint_id = self.endpoint(name).endpoint_id
        return list_deliveries(self.connection, endpoint_id, limit=1000)[::-1]

    def states(self, name: str = "billing") -> list[tuple[str, int]]:
        """Return state and attempts of all deliveries of an endpoint, oldest first."""
        return [(each.state, each.attempt) for each in self.deliveries(name)]

    def let_time_pass(self, **time: float) -> None:
        """Make all times of webhooks so much earlier."""
        passed = timedelta(**time)
        self.connection.execute(
            "UPDATE keywright.webhook_delivery"
            " SET next_at = next_at - %(by)s, waits_since = waits_since - %(by)s",
            {"by": passed},
        )
        self.connection.execute(
            "UPDATE keywright.webhook_endpoint SET open_until = open_until - %(by)s", {"by": passed}
        )
        self.connection.execute(
            "UPDATE keywright.webhook_secret SET expires_at = expires_at - %(by)s", {"by": passed}
        )
