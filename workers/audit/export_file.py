"""Verifying an export of the record, without any database."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from workers.audit.chain import Head, genesis, read_json
from workers.audit.exporting import FORMAT
from workers.audit.verifying import Fault, Findings, Link, Verification
from workers.errors import InvalidRequestError

_BROKEN = (ValueError, KeyError, TypeError, OverflowError, RecursionError)


def verify_file(path: Path, anchor: Head | None) -> Findings:
    """Verify an export as the record itself is verified, in memory a line at a time.

    Raises:
        InvalidRequestError: it cannot be read, or is no export; the text says in which line.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return _ExportFile(path, file, anchor).verify()
    except OSError as error:
        raise InvalidRequestError(f"{path}: cannot be read ({error.strerror}).") from error


class _ExportFile:
    def __init__(self, path: Path, file: Iterable[str], anchor: Head | None) -> None:
        self._path = path
        self._anchor = anchor
        self._number = 0
        self._lines = self._read(file)
        self._heads: list[Any] = []
        self._kept: bytes | None = None

    def verify(self) -> Findings:
        about = next(self._lines, {})
        try:
            start = Head(position=int(about["first"]) - 1, hash=bytes.fromhex(about["before"]))
            is_ours = start.position > 0 or start.hash == genesis(UUID(about["installation"]))
            is_known = about["format"] == FORMAT
        except (*_BROKEN, AttributeError) as error:
            raise self._no_export() from error
        if not is_known or start.position < 0:
            raise self._no_export()
        verification = Verification(start)
        try:
            return verification.find(
                [] if is_ours else [_foreign()],
                verification.walk(self._links()),
                self._end(verification),
            )
        except (UnicodeEncodeError, RecursionError) as error:
            # Of an entry that can be read, and is none that Postgres could hold.
            raise self._no_export() from error

    def _read(self, file: Iterable[str]) -> Iterator[dict[str, Any]]:
        try:
            for text in file:
                self._number += 1
                line = read_json(text)
                if not isinstance(line, dict):
                    raise self._no_export()
                yield line
        except _BROKEN as error:
            raise self._no_export() from error

    def _links(self) -> Iterator[Link]:
        for line in self._lines:
            if self._heads:
                raise InvalidRequestError(
                    f"{self._path}, line {self._number}: it stands after the end of the export."
                )
            if "head" in line:
                self._heads.append(line["head"])
                continue
            try:
                link = _link(line)
            except _BROKEN as error:
                raise self._no_export() from error
            if self._anchor is not None and link.position == self._anchor.position:
                self._kept = link.hash
            yield link

    def _end(self, verification: Verification) -> Iterator[Fault]:
        if self._heads != [str(verification.head)]:
            yield Fault(
                position=verification.head.position + 1,
                entry_id=None,
                fault="the file ends here, and its last line does not say so",
            )
        if self._anchor is not None:
            yield from verification.expect(self._anchor, self._kept)

    def _no_export(self) -> InvalidRequestError:
        return InvalidRequestError(
            f"{self._path}, line {max(self._number, 1)}: cannot be read; it is no export of the"
            " audit record, or not a whole one."
        )


def _link(line: Mapping[str, Any]) -> Link:
    position, entry = line["position"], line["entry"]
    if not (isinstance(position, int) and position > 0 and isinstance(entry, dict | None)):
        raise ValueError("no link")
    entry_id = 0 if entry is None else int(entry["entry_id"])
    digest = bytes.fromhex(line["hash"])
    return Link(position=position, entry_id=entry_id, hash=digest, entry=entry)


def _foreign() -> Fault:
    return Fault(position=1, entry_id=None, fault="it does not begin as its installation's")
