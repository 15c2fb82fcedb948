"""The environment, read once, checked at once.

Every variable may also be given as ``<NAME>_FILE``, the path of a file that holds the value, so
that passwords need not stand in an environment.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from workers.errors import InvalidRequestError

PREFIX = "KEYWRIGHT_"


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


class Settings(BaseModel):
    """What a keywright process needs to know of its surroundings.

    Field ``database_url`` comes from ``KEYWRIGHT_DATABASE_URL``, and so on. URLs may hold
    passwords and are therefore secret values: they have no repr.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: Annotated[SecretStr, _url("postgresql", "postgres")] | None = Field(
        default=None, description="PostgreSQL 15 or later; without it, an embedded server is run"
    )
    broker_url: Annotated[SecretStr, _url("amqp", "amqps")] | None = Field(
        default=None, description="RabbitMQ; without it, hints stay inside each worker process"
    )
    smtp_url: Annotated[SecretStr, _url("smtp", "smtps")] | None = Field(
        default=None, description="mail server; without it, mail is caught as .eml files"
    )
    mail_from: str = Field(
        default="keywright <keywright@localhost>", description="sender of every notice"
    )
    data_dir: Path = Field(
        default=Path(".keywright"), description="embedded database and caught mail"
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

    @property
    def embedded_database(self) -> bool:
        """Whether keywright runs its own Postgres under ``data_dir``."""
        return self.database_url is None


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Raises:
        InvalidRequestError: a variable is malformed or its file cannot be read; the text names
            the variable and never its value.
    """
    environ = os.environ if environ is None else environ  # noqa: TID251  # this is the place
    given: dict[str, Any] = {}
    for field in Settings.model_fields:
        name = PREFIX + field.upper()
        path = environ.get(f"{name}_FILE")
        if path:
            if name in environ:
                raise InvalidRequestError(f"{name} and {name}_FILE are both set; keep one.")
            try:
                given[field] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise InvalidRequestError(f"{name}_FILE: cannot read {path}.") from error
        elif environ.get(name):
            given[field] = environ[name]
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        variable = PREFIX + str(first["loc"][0]).upper()
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidRequestError(f"{variable}: {reason}.") from None
