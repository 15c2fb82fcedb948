"""The databases that hold encrypted fields: keywright's own, and others under configured names."""

from collections.abc import Mapping
from typing import NoReturn

import psycopg
from pydantic import SecretStr

from workers.database.pool import Connection, DatabaseUnavailableError, connect
from workers.database.trouble import trouble_in_words
from workers.errors import InvalidRequestError


class Connections:
    """Opens connections by name; nothing but what was configured is ever connected to.

    The name None is keywright's own database, in which registry, ledger and field may change in one
    transaction.
    """

    def __init__(self, own_conninfo: str, others: Mapping[str, SecretStr] | None = None) -> None:
        self._own = own_conninfo
        self._others = dict(others or {})

    @property
    def names(self) -> list[str]:
        """The configured names, in order."""
        return sorted(self._others)

    def is_own(self, name: str | None) -> bool:
        """Whether this is keywright's own database."""
        return name is None

    def conninfo(self, name: str | None) -> str:
        """Return the connection string of a database; it may hold a password.

        Raises:
            InvalidRequestError: nothing is configured under this name.
        """
        if name is None:
            return self._own
        if name not in self._others:
            raise InvalidRequestError(
                f"There is no connection named “{name}”; set {variable(name)} to the URL of that"
                " database, wherever keywright runs."
            )
        return self._others[name].get_secret_value()

    def connect(self, name: str | None, purpose: str) -> Connection:
        """Open one autocommit connection; ``purpose`` is shown in ``pg_stat_activity``.

        Raises:
            InvalidRequestError: nothing is configured under this name, or it cannot be read.
            DatabaseUnavailableError: nothing answers, or it refuses us.
        """
        conninfo = self.conninfo(name)
        if name is None:
            return connect(conninfo, name=purpose)
        try:
            return psycopg.connect(
                conninfo,
                autocommit=True,
                application_name=f"keywright {purpose}",
                connect_timeout=10,
            )
        except psycopg.ProgrammingError:
            # Its text would repeat the string, and with it the password.
            raise InvalidRequestError(
                f"The URL of connection “{name}” cannot be read; check {variable(name)}."
            ) from None
        except psycopg.OperationalError as error:
            raise DatabaseUnavailableError(
                trouble_in_words(conninfo, error, variable=variable(name), name=f"“{name}”")
            ) from error

    def __reduce__(self) -> NoReturn:
        raise TypeError("connection strings stay in their process")


def variable(name: str) -> str:
    """Return the environment variable that configures a connection."""
    return f"KEYWRIGHT_CONNECTION_{name.upper()}"
