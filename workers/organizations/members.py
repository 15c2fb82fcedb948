"""What a new member looks like, and reading many of them from a CSV file. Pure."""

import csv
import io
import re
from functools import cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from workers.errors import InvalidRequestError

Profile = Literal["system_administrator", "standard"]
Permission = Literal[
    "receive_expiration_notices",
    "modify_all_data",
    "view_encrypted_data",
    "manage_certificates",
    "enforce_mutual_tls",
]

CSV_COLUMNS = ("name", "email", "profile", "permissions", "active", "time_zone")
_MAX_CSV_BYTES = 16 * 1024 * 1024


@cache
def _known_time_zones() -> frozenset[str]:
    # The odd ones out are names of one machine only, or of none.
    return frozenset(available_timezones() - {"localtime", "posixrules", "Factory"})


def check_time_zone(name: str) -> str:
    """Return ``name`` if it is an IANA time zone.

    Raises:
        ValueError: it is not; the text says what one looks like.
    """
    if name not in _known_time_zones():
        raise ValueError(f"“{name[:40]}” is no IANA time zone; one looks like Europe/Berlin")
    return ZoneInfo(name).key


def _split_permissions(value: Any) -> Any:
    return tuple(value.replace(";", " ").split()) if isinstance(value, str) else value


def _blank_to_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _check_name(name: str) -> str:
    if not name.isprintable():
        raise ValueError("a name is one line without control characters")
    return name


def _check_address(address: str) -> str:
    if not address.isprintable() or not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", address):
        raise ValueError("not an e-mail address; one looks like name@example.org")
    return address


class NewMember(BaseModel):
    """A member to be added."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    name: Annotated[str, AfterValidator(_check_name)] = Field(min_length=1, max_length=120)
    email: Annotated[str, AfterValidator(_check_address)] = Field(max_length=254)
    profile: Profile = "standard"
    permissions: Annotated[tuple[Permission, ...], BeforeValidator(_split_permissions)] = ()
    active: bool = True
    time_zone: Annotated[
        Annotated[str, AfterValidator(check_time_zone)] | None, BeforeValidator(_blank_to_none)
    ] = None


def _check_header(reader: "csv.DictReader[str]") -> None:
    try:
        columns = reader.fieldnames or ()
    except csv.Error:
        columns = ()
    # What stands there instead may be somebody's address, and is not repeated.
    if not {"name", "email"} <= set(columns) <= set(CSV_COLUMNS) or len(set(columns)) < len(
        columns
    ):
        raise InvalidRequestError(
            "The first line must name the columns: name, email and any of"
            f" {', '.join(CSV_COLUMNS[2:])}, each at most once and separated by commas."
        )


def read_members(text: str) -> list[NewMember]:
    """Read members from CSV with a header line; ``name`` and ``email`` are needed, the rest not.

    Raises:
        InvalidRequestError: something is wrong; every fault is listed with its line.
    """
    if len(text) > _MAX_CSV_BYTES:
        raise InvalidRequestError(f"The file is larger than {_MAX_CSV_BYTES // 2**20} MiB.")
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    _check_header(reader)
    members: list[NewMember] = []
    faults: list[str] = []
    try:
        for row in reader:
            if None in row:
                faults.append(f"line {reader.line_num}: more values than the header has columns")
                continue
            given = {column: value for column, value in row.items() if value not in (None, "")}
            try:
                members.append(NewMember.model_validate(given))
            except ValidationError as error:
                faults += [
                    f"line {reader.line_num}, {fault['loc'][0]}: "
                    + fault["msg"].removeprefix("Value error, ")
                    for fault in error.errors(include_input=False, include_url=False)
                ]
    except csv.Error as error:
        faults.append(f"line {reader.line_num}: {error}")
    if faults:
        raise InvalidRequestError("Nobody was added.\n" + "\n".join(faults))
    if not members:
        raise InvalidRequestError("The file names no members.")
    return members
