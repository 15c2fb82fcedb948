"""Finding PEM blocks (RFC 7468) in text of any kind. Pure; what a block holds is not known here."""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from workers.certificates.reading.der import MalformedError

_BOUNDARY = re.compile(r"-----(BEGIN|END) ([^-\n]{1,64})-----")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=\s]", re.ASCII)
_MENDING = "copy it again, from -----BEGIN to the end of the -----END line"


@dataclass(frozen=True, kw_only=True)
class PemBlock:
    """One block: its label, the line where it begins, what is between its ends, and any flaw."""

    label: str
    line: int
    text: str
    flaw: str | None = None

    def decode(self) -> bytes:
        """Return the bytes that the block stands for.

        Raises:
            MalformedError: it has no proper end, or is no base64.
        """
        if self.flaw:
            raise MalformedError(self.flaw, _MENDING)
        wrong = _NOT_BASE64.search(self.text)
        if wrong:
            line = self.line + self.text.count("\n", 0, wrong.start())
            raise MalformedError(
                f"line {line} of the file has a character that base64 does not know", _MENDING
            )
        try:
            return binascii.a2b_base64("".join(self.text.split()), strict_mode=True)
        except binascii.Error:
            raise MalformedError("its base64 is incomplete", _MENDING) from None


def find_pem_blocks(text: str) -> Iterator[PemBlock]:
    """Yield every block in ``text``, broken ones included; any text may stand around them.

    Lines end in LF. A block without text of its own is one whose -----BEGIN line is missing.
    """
    begin: re.Match[str] | None = None
    line, counted = 1, 0
    begin_line = 1
    for boundary in _BOUNDARY.finditer(text):
        line += text.count("\n", counted, boundary.start())
        counted = boundary.start()
        if begin is not None:
            yield _block(text, begin, begin_line, boundary)
        elif boundary[1] == "END":
            yield PemBlock(
                label=boundary[2], line=line, text="", flaw="its -----BEGIN line is missing"
            )
        begin, begin_line = (boundary, line) if boundary[1] == "BEGIN" else (None, 0)
    if begin is not None:
        yield _block(text, begin, begin_line, None)


def _block(text: str, begin: re.Match[str], line: int, end: re.Match[str] | None) -> PemBlock:
    label = begin[2]
    flaw = None
    if end is None or end[1] == "BEGIN":
        flaw = "its -----END line is missing"
    elif end[2] != label:
        flaw = "its -----BEGIN and -----END lines differ"
    return PemBlock(
        label=label,
        line=line,
        text=text[begin.end() : end.start() if end else len(text)],
        flaw=flaw,
    )
