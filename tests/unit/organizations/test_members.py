"""New members, one by one and from CSV: wrong input is refused with its line, never repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workers.errors import InvalidRequestError
from workers.organizations.members import NewMember, check_time_zone, read_members

HEADER = "name,email,profile,permissions,active,time_zone\n"


def refusal(text: str) -> str:
    """Return the reason for which a file is refused."""
    with pytest.raises(InvalidRequestError) as refused:
        read_members(text)
    return str(refused.value)


def test_a_member_needs_only_a_name_and_an_address() -> None:
    [member] = read_members("email,name\nalice@example.org,Alice\n")
    assert member == NewMember(name="Alice", email="alice@example.org")
    assert (member.profile, member.permissions, member.active) == ("standard", (), True)
    assert member.time_zone is None


def test_every_column_is_read() -> None:
    [member] = read_members(
        HEADER + "Bob,bob@example.org,system_administrator,"
        "receive_expiration_notices modify_all_data,no,Asia/Tokyo\n"
    )
    assert member == NewMember(
        name="Bob",
        email="bob@example.org",
        profile="system_administrator",
        permissions=("receive_expiration_notices", "modify_all_data"),
        active=False,
        time_zone="Asia/Tokyo",
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeffname,email\r\nÅsa,asa@example.org\r\n", id="as Excel writes it"),
        pytest.param("name,email\n\nÅsa,asa@example.org\n\n", id="blank lines"),
        pytest.param("name,email\n Åsa , asa@example.org \n", id="blanks around"),
        pytest.param('"name","email"\n"Åsa","asa@example.org"', id="quoted, no last line end"),
        pytest.param("name,email,permissions,time_zone\nÅsa,asa@example.org\n", id="short line"),
        pytest.param(HEADER + "Åsa,asa@example.org,,,,\n", id="empty values"),
        pytest.param(HEADER + "Åsa,asa@example.org,,  ,,  \n", id="blank values"),
    ],
)
def test_what_spreadsheets_make_of_it_is_read_alike(text: str) -> None:
    assert read_members(text) == [NewMember(name="Åsa", email="asa@example.org")]


def test_permissions_may_be_separated_by_semicolons() -> None:
    [member] = read_members(
        "name,email,permissions\nA,a@b.c,receive_expiration_notices;modify_all_data\n"
    )
    assert member.permissions == ("receive_expiration_notices", "modify_all_data")


def test_members_come_in_the_order_of_their_lines() -> None:
    text = "name,email\n" + "".join(f"M{n},m{n}@example.org\n" for n in range(50))
    assert [member.name for member in read_members(text)] == [f"M{n}" for n in range(50)]


@pytest.mark.parametrize(
    "address",
    ["alice", "@alice.org", "alice@", "alice@b@c", "alice b@example.org", "<alice@example.org>"],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(address: str) -> None:
    reason = refusal(f"name,email\nA,{address}\n")
    assert reason == (
        "Nobody was added.\nline 2, email: not an e-mail address; one looks like name@example.org"
    )


def test_an_address_of_two_lines_is_refused() -> None:
    assert "line 3, email: " in refusal('name,email\nA,"alice@example.org\nbob@example.org"\n')


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 121, "A\x00B", "A\nB", "A\r\nBcc: all@example.org", "A\x1b[2JB"]
)
def test_a_name_that_cannot_stand_in_a_list_or_a_letter_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        NewMember(name=name, email="a@b.c")


@pytest.mark.parametrize("address", ["a\x00b@example.org", "a\x1b@example.org"])
def test_an_address_with_control_characters_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        NewMember(name="A", email=address)


@pytest.mark.parametrize(
    "zone",
    [
        "Europe/Atlantis",
        "europe/berlin",
        "+02:00",
        "CEST",
        "",
        "../etc/passwd",
        "/UTC",
        "localtime",
    ],
)
def test_what_is_no_time_zone_everywhere_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match=r"is no IANA time zone; one looks like Europe/Berlin$"):
        check_time_zone(zone)


def test_a_time_zone_is_returned_as_it_was_given() -> None:
    assert check_time_zone("America/Argentina/Ushuaia") == "America/Argentina/Ushuaia"


def test_all_faults_of_a_file_are_listed_with_their_lines() -> None:
    text = refusal(
        HEADER
        + "Alice,alice@example.org,,,,\n"
        + "Bob,bob,owner,,,\n"
        + ",carol@example.org,,fly,,Mars/Olympus\n"
        + "Dan,dan@example.org,,,perhaps,,and,more\n"
    )
    first, *faults = text.splitlines()
    assert first == "Nobody was added."
    assert [fault.split(":")[0] for fault in faults] == [
        "line 3, email",
        "line 3, profile",
        "line 4, name",
        "line 4, permissions",
        "line 4, time_zone",
        "line 5",
    ]


def test_one_wrong_line_is_enough_to_refuse_the_file() -> None:
    good = "".join(f"M{n},m{n}@example.org\n" for n in range(50))
    assert refusal("name,email\n" + good + "Bob,bob\n" + good).splitlines()[1].startswith("line 52")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="an empty file"),
        pytest.param("\n\n", id="blank lines"),
        pytest.param("name\nAlice\n", id="no address"),
        pytest.param("Name,Email\nAlice,alice@example.org\n", id="in capitals"),
        pytest.param("name;email\nAlice;alice@example.org\n", id="another separator"),
        pytest.param("name,email,password\nAlice,alice@example.org,hunter2\n", id="unknown column"),
        pytest.param("Alice,alice@example.org\nBob,bob@example.org\n", id="no header"),
        pytest.param("name,email,email\nAlice,bob@example.org,alice@example.org\n", id="twice"),
    ],
)
def test_a_file_without_a_proper_header_is_refused_and_not_repeated(text: str) -> None:
    reason = refusal(text)
    assert reason.startswith("The first line must name the columns: name, email and any of ")
    assert "alice@example.org" not in reason
    assert "hunter2" not in reason


def test_a_file_with_nothing_but_a_header_is_refused() -> None:
    assert refusal("name,email\n") == "The file names no members."


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('name,email\n"Alice,alice@example.org\n', id="in a line"),
        pytest.param('"name,email\nAlice,alice@example.org\n', id="in the header"),
    ],
)
def test_an_open_quote_is_refused(text: str) -> None:
    assert "alice@example.org" not in refusal(text)


def test_a_field_without_end_is_refused() -> None:
    assert "line" in refusal("name,email\n" + "x" * 200_000 + ",a@b.c\n")


def test_a_file_without_end_is_refused() -> None:
    assert refusal("name,email\n" + "x" * 16 * 1024 * 1024) == "The file is larger than 16 MiB."


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_under_a_proper_header(text: str) -> None:
    try:
        members = read_members(HEADER + text)
    except InvalidRequestError:
        members = []
    assert all(member.name and "@" in member.email for member in members)


@given(st.text(alphabet=st.sampled_from('name,email"\n\r\ufeff\x00;'), max_size=60))
def test_any_header_is_read_or_refused(text: str) -> None:
    try:
        members = read_members(text)
    except InvalidRequestError:
        members = []
    assert all(member.name and "@" in member.email for member in members)
