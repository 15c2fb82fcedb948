import pickle

import pytest
from pydantic import SecretStr

from workers.database.pool import DatabaseUnavailableError
from workers.encryption.connections import Connections
from workers.errors import InvalidRequestError, KeywrightError

OWN = "postgresql://localhost/own"


def connections(url: str = "postgresql://billing:hunter2@127.0.0.1:9/billing") -> Connections:
    return Connections(OWN, {"billing": SecretStr(url)})


def test_only_our_own_database_has_no_name() -> None:
    assert connections().conninfo(None) == OWN
    assert connections().is_own(None)
    assert not connections().is_own("billing")
    assert connections().names == ["billing"]


def test_a_name_that_is_not_configured_is_answered_with_the_variable_to_set() -> None:
    with pytest.raises(InvalidRequestError, match="KEYWRIGHT_CONNECTION_CRM"):
        connections().connect("crm", "test")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("postgresql://billing:hunter2@127.0.0.1:9/billing", DatabaseUnavailableError),
        ("nonsense hunter2", InvalidRequestError),
    ],
)
def test_a_database_that_is_not_there_is_named_without_its_password(
    url: str, error: type[KeywrightError]
) -> None:
    with pytest.raises(error, match="KEYWRIGHT_CONNECTION_BILLING") as refusal:
        connections(url).connect("billing", "test")
    assert "hunter2" not in str(refusal.value)


def test_connection_strings_are_neither_shown_nor_pickled() -> None:
    assert "hunter2" not in repr(connections())
    with pytest.raises(TypeError):
        pickle.dumps(connections())
