"""The roots that browsers trust, from Mozilla's list as certifi has it. Reads that one file."""

from functools import cache
from pathlib import Path

import certifi

from workers.certificates.mutual_tls.root_checks import identity
from workers.certificates.reading.contents import read_certificates


@cache
def public_roots() -> frozenset[bytes]:
    """Return by what to recognise each of them: ``root_checks.identity``."""
    data = Path(certifi.where()).read_bytes()
    return frozenset(
        identity(each) for each in read_certificates(data, source="certifi").certificates
    )
