"""What the commands need that make or open private keys: a session, and the tools of the jobs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from workers.certificates.tools import CertificateTools
from workers.cli.session import operator
from workers.composition import certificate_tools, configured_root_keys
from workers.database.open import open_database
from workers.database.pool import Connection, connect, open_pool
from workers.database.schema import check_schema
from workers.errors import InvalidRequestError
from workers.keys.keyring import KeyRing
from workers.settings import load_settings

Model = TypeVar("Model", bound=BaseModel)


@contextmanager
def open_certificate_session() -> Iterator[tuple[Connection, CertificateTools]]:
    """Yield an autocommit connection, and what the jobs on certificates work with.

    Raises:
        KeywrightError: a setting is wrong, there is no root key, or the database is not there.
    """
    settings = load_settings()
    root_keys = configured_root_keys(settings)
    with (
        open_database(settings.database_url, settings.data_dir) as database,
        connect(database.conninfo, name="cli", acting=operator()) as connection,
        open_pool(database.conninfo, size=2, name="cli keys", acting=operator()) as pool,
    ):
        check_schema(connection)
        tools = certificate_tools(
            KeyRing(pool, root_keys), pool, lifetime_caps=settings.lifetime_caps
        )
        yield connection, tools


def checked(model: type[Model], **fields: object) -> Model:
    """Return what the options of a command come to.

    Raises:
        InvalidRequestError: one of them is wrong; the text names it and says why.
    """
    try:
        return model(**fields)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise InvalidRequestError(f"{faults}. Nothing was changed.") from None
