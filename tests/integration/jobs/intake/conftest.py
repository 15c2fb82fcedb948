import secrets
import shlex
from collections.abc import Iterator

import pika
import pytest

from scheduler.service import SchedulerService
from tests.integration.jobs.intake.sender import Sender
from tests.servers.rabbitmq import RabbitmqNode
from workers.database.pool import Connection
from workers.jobs.broker_users import commands, requester_rights
from workers.jobs.intake.topology import declare_intake
from workers.organizations.store import add_organization
from workers.requesters.store import GRANTABLE, add_requester, grant

PASSWORD = "of-a-requester"


@pytest.fixture
def sender(
    rabbitmq_node: RabbitmqNode, broker_vhost: str, broker_url: str, connection: Connection
) -> Iterator[Sender]:
    """A system that may ask for everything in Acme, and for nothing in Rival."""
    user = f"crm-{secrets.token_hex(4)}"
    rights = requester_rights(user, reply_queue=True)
    for line in commands(rights, broker_vhost):
        words = shlex.split(line)[1:]
        rabbitmq_node.ctl(*words, *([PASSWORD] if words[0] == "add_user" else []))
    acme, _ = (
        add_organization(connection, name=name, time_zone="UTC", sending_hour=8, is_sandbox=False)
        for name in ("Acme", "Rival")
    )
    add_requester(connection, name="crm", broker_user=user, database_role=None)
    grant(connection, name="crm", organization_id=acme, kinds=GRANTABLE)
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as admin:
        declare_intake(admin.channel())  # as the first scheduler did, some time ago
    url = rabbitmq_node.url(broker_vhost, user=user, password=PASSWORD)
    yield Sender(url, broker_url, user, connection)
    rabbitmq_node.ctl("delete_user", user)


@pytest.fixture
def intake(conninfo: str, broker_url: str) -> Iterator[SchedulerService]:
    """A scheduler with its intake."""
    with SchedulerService(conninfo, broker_url, timetable=()) as service:
        yield service
