"""What an announcement says, as it is stored."""

from datetime import UTC, datetime
from typing import ClassVar

import psycopg
import pytest

from workers.announcements.store import UnknownAnnouncementError, announce, data_of
from workers.contract.announcements import (
    CertificateIssued,
    CertificateSwitched,
    Happened,
    NamedVersion,
)


class Invented(Happened):
    """Something that nobody could read."""

    of_kind: ClassVar[str] = "certificate.issued"
    about: ClassVar[str] = "certificate/12"


def test_times_are_told_with_their_offset() -> None:
    issued = CertificateIssued(
        unique_name="web",
        version_number=1,
        version_id=40,
        kind="self_signed",
        not_after=datetime(2027, 1, 1, tzinfo=UTC),
        requested_by="requester:billing",
    )
    assert data_of(issued) == {
        "unique_name": "web",
        "version_number": 1,
        "version_id": 40,
        "kind": "self_signed",
        "key_type": None,
        "not_after": "2027-01-01T00:00:00+00:00",
        "chain_ends_first": False,
        "requested_by": "requester:billing",
    }


def test_what_it_says_reads_back_as_the_same() -> None:
    version = NamedVersion(unique_name="web", version_number=None)
    switched = CertificateSwitched(
        old=version, new=version, place_kind="k", place="p", from_="staged", to="new", actor="ada"
    )
    assert data_of(switched)["from"] == "staged"
    assert CertificateSwitched.model_validate(data_of(switched)) == switched


def test_what_stands_in_no_catalogue_is_not_announced() -> None:
    # Before anything is sent: the connection need not be one.
    connection = psycopg.Connection.__new__(psycopg.Connection)
    with pytest.raises(UnknownAnnouncementError, match="Invented stands in no catalogue"):
        announce(connection, Invented(), organization_id=1, subject="certificate/12")
