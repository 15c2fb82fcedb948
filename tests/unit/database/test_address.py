"""The address of a database: verified where it leaves this machine, unless it says otherwise."""

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from workers.database.address import leaves_this_machine, with_verification
from workers.tls import system_ca_file

CA_FILE = Path("/etc/keywright/ca & b.pem")

FAR = (
    "postgresql://u:p%40@db.example.org/d",
    "postgresql://u@db.example.org:5432/d?target_session_attrs=read-write",
    "postgresql://u@10.0.0.1/d",
    "postgresql://u@localhost,db.example.org/d",
    "postgresql://u@db.example.org/d?hostaddr=127.0.0.1",
    "postgresql:///d?hostaddr=10.0.0.1",
    "postgresql:///d?service=elsewhere",
    "host=db.example.org dbname=d",
)
NEAR = (
    "postgresql:///d",
    "postgresql://u@/d?host=/var/run/postgresql&port=5432",
    "postgresql://u@%2Fvar%2Frun%2Fpostgresql/d",
    "postgresql://u@localhost/d",
    "postgresql://u@127.0.0.1:5433/d",
    "postgresql://u@[::1]/d",
    "postgresql:///d?hostaddr=127.0.0.1",
    "host=@abstract dbname=d",
)


def verification(conninfo: str, ca_file: Path | None = None) -> tuple[object, object]:
    """Return how the server is verified in the end."""
    said = conninfo_to_dict(with_verification(conninfo, ca_file))
    return said.get("sslmode"), said.get("sslrootcert")


@pytest.fixture(autouse=True)
def _no_usual_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("PGHOST", "PGHOSTADDR"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("conninfo", FAR)
def test_another_machine_must_show_a_certificate_for_its_name(conninfo: str) -> None:
    assert leaves_this_machine(conninfo)
    assert verification(conninfo) == ("verify-full", system_ca_file())
    assert verification(conninfo, CA_FILE) == ("verify-full", str(CA_FILE))


@pytest.mark.parametrize("conninfo", FAR)
def test_the_rest_of_the_address_stays(conninfo: str) -> None:
    before, after = conninfo_to_dict(conninfo), conninfo_to_dict(with_verification(conninfo))
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("conninfo", NEAR)
def test_this_machine_need_not(conninfo: str) -> None:
    assert not leaves_this_machine(conninfo)
    assert with_verification(conninfo, CA_FILE) == conninfo


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require"])
def test_the_address_may_do_without(mode: str) -> None:
    conninfo = f"postgresql://u@db.example.org/d?sslmode={mode}"
    assert with_verification(conninfo, CA_FILE) == conninfo


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_whoever_asks_for_verification_gets_the_authorities(mode: str) -> None:
    conninfo = f"postgresql://u@localhost/d?sslmode={mode}"
    assert verification(conninfo, CA_FILE) == (mode, str(CA_FILE))


def test_authorities_in_the_address_stay() -> None:
    conninfo = "postgresql://u@db.example.org/d?sslrootcert=system"
    assert verification(conninfo, CA_FILE) == ("verify-full", "system")


def test_a_host_in_the_environment_of_libpq_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example.org")
    assert leaves_this_machine("postgresql:///d")
    assert not leaves_this_machine("postgresql://localhost/d")


def test_what_cannot_be_read_is_left_to_whoever_connects() -> None:
    assert with_verification("nonsense hunter2") == "nonsense hunter2"
