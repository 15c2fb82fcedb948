"""Puts a worker together: settings → connections → handlers → broker."""

import gc
import os
import socket
import threading
from collections.abc import Mapping, Sequence

import dramatiq
from dramatiq import Broker

from workers.certificates.private_keys import PrivateKeys
from workers.certificates.tools import CertificateTools
from workers.contract import JobRequest, LifetimeCaps, Queue
from workers.database.open import open_database
from workers.database.pool import Acting, Pool, connect, open_pool
from workers.database.schema import check_schema
from workers.encryption import FieldCipher
from workers.encryption.connections import Connections
from workers.errors import InvalidRequestError
from workers.jobs.broker import LedgerRabbitmqBroker
from workers.jobs.execution import Execution, Handler
from workers.jobs.in_process import InProcessBroker
from workers.jobs.keeper import Keeper
from workers.jobs.worker import WorkerLifecycle, declare_actors
from workers.keys.keyring import KeyRing
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.absent import AbsentRootKey
from workers.keys.root_keys.opening import open_root_keys
from workers.keys.unsealing import Unsealer
from workers.notifications.delivery import Postman
from workers.notifications.mail_server import SmtpServer
from workers.reencryption.tools import Tools
from workers.settings import Settings
from workers.subscriptions import subscriptions
from workers.tls import client_context
from workers.webhooks.calling import Caller

PATIENCE_BEYOND_GRACE_SECONDS = 10
"""What a stopping process gets on top of the grace for its jobs: closing, the last log lines."""

_SHORTEST_SILENCE_SECONDS = 10.0
"""So long a handler may work on a large key without a word, however short leases are."""

_ITSELF = Acting("keywright:worker", "job")

Handlers = Mapping[type[JobRequest], Handler]


def compose_worker(
    settings: Settings,
    conninfo: str,
    *,
    queues: Sequence[Queue] = tuple(Queue),
    handlers: Handlers | None = None,
) -> Broker:
    """Return a broker whose actors work on ``queues`` of the ledger at ``conninfo``.

    ``handlers`` replaces the usual subscriptions, for tests and benchmarks. Nothing runs before a
    ``dramatiq.Worker`` is started on the broker.

    Raises:
        KeywrightError: the database is not there or has another schema.
    """
    with connect(conninfo, name="worker") as connection:
        check_schema(connection)
    # Whoever is silent for a lease has lost its jobs, and is not to keep their next worker waiting.
    silence = max(settings.lease_seconds, _SHORTEST_SILENCE_SECONDS)
    # The ledger's own: claims, endings, the keeper and the relay.
    ledger = open_pool(
        conninfo,
        size=4,
        name="ledger",
        index_only=True,
        acting=_ITSELF,
        longest_silence_seconds=silence,
    )
    # The handlers': one per thread for the final transaction, and one for a checkpoint meanwhile.
    pool = open_pool(
        conninfo,
        size=2 * settings.worker_threads,
        name="worker",
        acting=_ITSELF,
        longest_silence_seconds=silence,
    )
    keeper = Keeper(ledger, lease_seconds=settings.lease_seconds)
    execution = Execution(
        ledger,
        pool,
        keeper,
        usual_handlers(settings, conninfo, ledger) if handlers is None else handlers,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        lease_seconds=settings.lease_seconds,
    )
    middleware: list[dramatiq.Middleware] = [
        WorkerLifecycle(
            (ledger, pool),
            keeper,
            execution,
            queues,
            grace_seconds=settings.shutdown_grace_seconds,
        )
    ]
    broker: Broker = (
        InProcessBroker(middleware=middleware)
        if settings.broker_url is None
        else LedgerRabbitmqBroker(settings.broker_url.get_secret_value(), middleware=middleware)
    )
    declare_actors(broker, execution, queues)
    return broker


def run_worker(
    settings: Settings,
    stop: threading.Event,
    *,
    queues: Sequence[Queue] = tuple(Queue),
    handlers: Handlers | None = None,
) -> None:
    """Run one worker in this process until ``stop`` is set.

    Raises:
        KeywrightError: as ``compose_worker``.
    """
    with open_database(settings.database_url, settings.data_dir) as database:
        broker = compose_worker(settings, database.conninfo, queues=queues, handlers=handlers)
        worker = dramatiq.Worker(
            broker,
            queues={queue.value for queue in queues},
            worker_threads=settings.worker_threads,
            # How soon an idle thread notices that it is to stop.
            worker_timeout=250,
        )
        spare_the_garbage_collector()
        worker.start()
        stop.wait()
        patience = settings.shutdown_grace_seconds + PATIENCE_BEYOND_GRACE_SECONDS
        worker.stop(timeout=int(patience * 1000))
        broker.close()


def spare_the_garbage_collector() -> None:
    """Exempt what a process consists of from collections: it never becomes garbage.

    A batch allocates enough to set off full collections, which would look at every module each
    time: a tenth of what bulk re-encryption takes.
    """
    gc.collect()
    gc.freeze()


def mail_server(settings: Settings) -> SmtpServer:
    """Return the mail server that the settings name.

    Raises:
        InvalidRequestError: none is named, or its URL is wrong.
    """
    if settings.smtp_url is None:
        # Silently writing files instead would mean that nobody is told and nobody knows.
        raise InvalidRequestError(
            "KEYWRIGHT_SMTP_URL is not set, so notices would reach nobody. Set it, for example to"
            " smtp://mail.example.org:587, or use `keywright up`, which catches mail in files."
        )
    return SmtpServer.from_url(settings.smtp_url.get_secret_value(), authorities=settings.ca_file)


def usual_handlers(settings: Settings, conninfo: str, ledger: Pool) -> Handlers:
    """Return the subscriptions, with what the settings name and the ledger's connections.

    Raises:
        InvalidRequestError: no mail server is named, or its URL is wrong.
    """
    server = mail_server(settings)
    root_keys = open_keys(settings)
    keyring = KeyRing(ledger, root_keys)
    tools = Tools(
        keyring=keyring,
        connections=Connections(conninfo, settings.connections),
        ledger=ledger,
    )
    postman = Postman(server, ledger, sender=settings.mail_from)
    certificates = certificate_tools(keyring, ledger, lifetime_caps=settings.lifetime_caps)
    caller = Caller(
        certificates.cipher, tls=client_context(settings.ca_file, besides_the_system=True)
    )
    return subscriptions(postman, root_keys, tools, certificates, caller)


def certificate_tools(
    keyring: KeyRing, ledger: Pool, *, lifetime_caps: LifetimeCaps = "warn"
) -> CertificateTools:
    """Return what the jobs and commands on certificates work with."""
    cipher = FieldCipher(keyring, ledger)
    return CertificateTools(
        cipher=cipher,
        private_keys=PrivateKeys(cipher),
        ledger=ledger,
        unsealer=Unsealer(ledger, keyring.root_keys),
        lifetime_caps=lifetime_caps,
    )


def open_keys(settings: Settings) -> RootKeys:
    """Return the root keys that the settings name; without any, encryption alone does not work.

    Raises:
        InvalidRequestError: a setting is wrong.
    """
    try:
        _ = settings.effective_root_key
    except InvalidRequestError as error:
        return RootKeys(current=AbsentRootKey(str(error)))
    return configured_root_keys(settings)


def configured_root_keys(settings: Settings) -> RootKeys:
    """Return the root keys that the settings name.

    Raises:
        InvalidRequestError: none is named, or one is written in no way that keywright knows.
    """
    return open_root_keys(
        settings.effective_root_key, settings.former_root_key, create=settings.makes_root_key
    )
