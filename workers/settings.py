"""The environment, read once, checked at once.

Every variable may also be given as ``<NAME>_FILE``, the path of a file that holds the value, so
that passwords need not stand in an environment.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from workers.contract.certificates import LifetimeCaps
from workers.database.address import with_verification
from workers.errors import InvalidRequestError
from workers.jobs.broker_url import with_authorities
from workers.tls import check_ca_file

PREFIX = "KEYWRIGHT_"
CONNECTION_PREFIX = f"{PREFIX}CONNECTION_"
ROOT_KEY_SCHEMES = ("file:", "aws-kms:", "pkcs11:")


def _url(*schemes: str) -> AfterValidator:
    def check(url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if text.partition("://")[0] not in schemes:
            raise ValueError(f"must begin with {' or '.join(f'{s}://' for s in schemes)}")
        if not _is_unambiguous(text):
            raise ValueError(
                "is not a proper URL; percent-encode special signs in user and password"
            )
        return url

    return AfterValidator(check)


def _is_unambiguous(url: str) -> bool:
    """Whether everybody reads the same host and password out of it; libpq has ways of its own."""
    try:
        parts = urlsplit(url)
        if parts.scheme.startswith("postgres"):
            conninfo_to_dict(url)
    except (ValueError, psycopg.ProgrammingError):
        return False
    # A database may have several hosts, each with its port; an IPv6 address stands in brackets.
    hosts = parts.netloc.rpartition("@")[2].split(",")
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts]
    return parts.netloc.count("@") <= 1 and all(not port or port.isdecimal() for port in ports)


def _check_root_key(text: str) -> str:
    if not text.startswith(ROOT_KEY_SCHEMES):
        raise ValueError(f"must begin with {', '.join(ROOT_KEY_SCHEMES[:-1])} or pkcs11:")
    return text


def _check_connection_name(name: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9_]{0,30}", name):
        raise ValueError("the name must be a letter and up to 30 letters, digits and underscores")
    return name


def _check_ca_file(path: Path) -> Path:
    check_ca_file(path)
    return path


_DatabaseUrl = Annotated[SecretStr, _url("postgresql", "postgres")]
_RootKey = Annotated[str, AfterValidator(_check_root_key)]
_ConnectionName = Annotated[str, AfterValidator(_check_connection_name)]


class Settings(BaseModel):
    """What a keywright process needs to know of its surroundings.

    Field ``database_url`` comes from ``KEYWRIGHT_DATABASE_URL``, and so on. URLs may hold
    passwords and are therefore secret values: they have no repr.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: _DatabaseUrl | None = Field(
        default=None, description="PostgreSQL 15 or later; without it, an embedded server is run"
    )
    broker_url: Annotated[SecretStr, _url("amqp", "amqps")] | None = Field(
        default=None, description="RabbitMQ; without it, hints stay inside each worker process"
    )
    smtp_url: Annotated[SecretStr, _url("smtp", "smtps")] | None = Field(
        default=None, description="mail server; without it, mail is caught as .eml files"
    )
    ca_file: Annotated[Path, AfterValidator(_check_ca_file)] | None = Field(
        default=None,
        description="PEM file of the authorities that broker and database must be certified by, and"
        " that mail servers and webhooks may be; without it, those that the system trusts",
    )
    mail_from: str = Field(
        default="keywright <keywright@localhost>", description="sender of every notice"
    )
    data_dir: Path = Field(
        default=Path(".keywright"), description="embedded database, its root key and caught mail"
    )
    root_key: _RootKey | None = Field(
        default=None,
        description="wraps the master keys; without it, the embedded default makes a file in the"
        " data folder, and any other database goes without encryption",
    )
    former_root_key: _RootKey | None = Field(
        default=None, description="the root key that gives way, while something is wrapped under it"
    )
    connections: Mapping[_ConnectionName, _DatabaseUrl] = Field(
        default_factory=dict,
        description="another PostgreSQL database that holds encrypted fields; they name it in lower"
        " case",
    )
    lifetime_caps: LifetimeCaps = Field(
        default="warn",
        description="what to do about a TLS server's certificate that lasts longer than the"
        " CA/Browser Forum allows: warn, refuse or ignore",
    )
    log_level: str = Field(
        default="info",
        pattern="^(debug|info|warning|error)$",
        description="least important lines that are logged: debug, info, warning or error",
    )
    log_format: str = Field(
        default="json", pattern="^(json|text)$", description="json for machines, text for the eye"
    )
    worker_processes: int = Field(
        default=2, ge=1, le=256, description="processes that `up` and `worker` run"
    )
    worker_threads: int = Field(
        default=8, ge=1, le=256, description="jobs that one worker process runs at a time"
    )
    lease_seconds: float = Field(
        default=30, ge=1, le=600, description="how long a silent worker keeps its job"
    )
    shutdown_grace_seconds: float = Field(
        default=30, ge=0, le=3600, description="how long a stopping worker lets its jobs run on"
    )

    announcement_days: int = Field(
        default=30, ge=1, le=3650, description="days that announcements are kept, to catch up from"
    )
    sealing_key_days: int = Field(
        default=90,
        ge=1,
        le=3650,
        description="days after which another key is published to seal secrets to",
    )

    @property
    def embedded_database(self) -> bool:
        """Whether keywright runs its own Postgres under ``data_dir``."""
        return self.database_url is None

    @property
    def makes_root_key(self) -> bool:
        """Whether keywright makes its root key itself, at first use."""
        return self.root_key is None and self.embedded_database

    @property
    def effective_root_key(self) -> str:
        """What wraps the master keys, in the form of ``root_key``.

        Raises:
            InvalidRequestError: none is named, and only the embedded default gets one by itself.
        """
        if self.root_key is not None:
            return self.root_key
        if not self.embedded_database:
            raise InvalidRequestError(
                f"{PREFIX}ROOT_KEY is not set, and nothing can be encrypted without a root key;"
                " name one, such as file:/etc/keywright/root.key, aws-kms:… or pkcs11:…."
            )
        return f"file:{self.data_dir.absolute() / 'root.key'}"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Raises:
        InvalidRequestError: a variable is malformed or its file cannot be read; the text names
            the variable and never its value.
    """
    environ = os.environ if environ is None else environ  # noqa: TID251  # this is the place
    given: dict[str, Any] = {}
    for field in Settings.model_fields:
        if field != "connections":
            value = _read(environ, PREFIX + field.upper())
            if value is not None:
                given[field] = value
    given["connections"] = _read_connections(environ)
    try:
        return _verifying(Settings.model_validate(given))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        variable = _variable(*first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidRequestError(f"{variable}: {reason}.") from None


def _verifying(settings: Settings) -> Settings:
    """Return the settings with URLs that say how broker and databases are verified.

    So the file of authorities gets wherever a URL gets.
    """
    changed: dict[str, Any] = {
        "connections": {
            name: SecretStr(with_verification(url.get_secret_value(), settings.ca_file))
            for name, url in settings.connections.items()
        }
    }
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        changed["database_url"] = SecretStr(with_verification(url, settings.ca_file))
    if settings.broker_url is not None:
        url = settings.broker_url.get_secret_value()
        changed["broker_url"] = SecretStr(with_authorities(url, settings.ca_file))
    return settings.model_copy(update=changed)


def _read(environ: Mapping[str, str], name: str) -> str | None:
    """Return what a variable says, itself or by its file; None if it says nothing."""
    path = environ.get(f"{name}_FILE")
    if not path:
        return environ.get(name) or None
    if name in environ:
        raise InvalidRequestError(f"{name} and {name}_FILE are both set; keep one.")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"{name}_FILE: cannot read {path}.") from error


def _read_connections(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the URLs of ``KEYWRIGHT_CONNECTION_<NAME>`` by the name in lower case."""
    found: dict[str, str] = {}
    names = (
        variable.removeprefix(CONNECTION_PREFIX).removesuffix("_FILE")
        for variable in environ
        if variable.startswith(CONNECTION_PREFIX)
    )
    for name in sorted(set(names)):
        url = _read(environ, CONNECTION_PREFIX + name)
        if url is None:
            continue
        if name.lower() in found:
            raise InvalidRequestError(
                f"{CONNECTION_PREFIX}{name}: is given twice, for upper and lower case are alike;"
                " keep one."
            )
        found[name.lower()] = url
    return found


def _variable(field: str | int, *inner: str | int) -> str:
    """Return the name of the variable that a field, or one of the connections, was read from."""
    if field == "connections" and inner:
        return CONNECTION_PREFIX + str(inner[0]).upper()
    return PREFIX + str(field).upper()
