"""What the settings send over a network unprotected, because somebody wanted it so."""

from psycopg.conninfo import conninfo_to_dict

from workers.database.address import VERIFYING, leaves_this_machine
from workers.encryption.connections import variable
from workers.jobs.broker_url import VARIABLE, BrokerUrl
from workers.notifications.mail_server import SmtpServer
from workers.settings import Settings
from workers.tls import is_this_machine


def unprotected(settings: Settings) -> list[str]:
    """Return one sentence for each connection to another machine whose server is not verified.

    Raises:
        InvalidRequestError: a URL is wrong.
    """
    databases = {variable(name): url for name, url in settings.connections.items()}
    if settings.database_url is not None:
        databases = {"KEYWRIGHT_DATABASE_URL": settings.database_url} | databases
    notes = [
        f"{name} says sslmode={mode}: whoever is on the network between may read along, or stand in"
        " for the server."
        for name, url in databases.items()
        if (mode := _unverified(url.get_secret_value())) is not None
    ]
    if settings.broker_url is not None:
        broker = BrokerUrl.from_url(settings.broker_url.get_secret_value())
        if not broker.is_encrypted and not is_this_machine(broker.host):
            notes.append(
                f"{VARIABLE} says tls=none: whoever is on the network between reads along."
            )
    if settings.smtp_url is not None:
        server = SmtpServer.from_url(
            settings.smtp_url.get_secret_value(), authorities=settings.ca_file
        )
        weak = server.encryption in ("none", "opportunistic")
        if weak and not is_this_machine(server.host):
            notes.append(
                f"KEYWRIGHT_SMTP_URL says tls={server.encryption}: whoever is on the network"
                " between may read along."
            )
    return notes


def _unverified(url: str) -> str | None:
    """Return the weak ``sslmode`` of a database on another machine."""
    mode = str(conninfo_to_dict(url).get("sslmode"))
    return mode if leaves_this_machine(url) and mode not in VERIFYING else None
