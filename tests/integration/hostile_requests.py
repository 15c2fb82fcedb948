"""Bad arguments by the hundred, made from the contract: for every door the same."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from workers.contract import JOB_REQUESTS, JobRequest

MARKER = "Marker-77aa-value"
"""Stands in bad values: no refusal may repeat it."""

_ID = str(UUID(int=7))
GOOD: dict[str, dict[str, Any]] = {
    "certificate.generate": {"label": "Web", "subject": {"common_name": "www.example.org"}},
    "certificate.rekey": {"unique_name": "Web"},
    "certificate.copy": {"source": "Web", "label": "Copy"},
    "certificate.upload": {"unique_name": "Web", "chain": "MAA="},
    "certificate.delete": {"unique_name": "Web"},
    "certificate.restore": {"unique_name": "Web"},
    "keystore.export": {"password": _ID, "certificates": ["Web"]},
    "keystore.import": {"artifact": _ID, "password": _ID, "names": {"alias": "Web"}},
    "usage.register": {"certificate": "Web", "place_kind": "listener", "place": "edge"},
    "usage.move": {"certificate": "Web", "place_kind": "listener", "place": "edge"},
    "usage.remove": {"place_kind": "listener", "place": "edge"},
    "mutual_tls.upload": {"pem": "MAA="},
    "mutual_tls.withdraw": {"unique_name": "Web"},
    "replacement.start": {"certificate": "Web", "overlap_by": "2030-01-01T00:00:00Z"},
    "replacement.advance": {
        "replacement_id": 1,
        "to": "switched",
        "places": [{"place_kind": "listener", "place": "edge"}],
    },
    "replacement.roll_back": {"replacement_id": 1},
    "master_key.rotate": {"expected_number": 1},
    "reencryption.start": {"fields": ["crm.note"]},
    "system.ping": {},
}
"""Arguments that are taken, with something of every shape."""

_WRONG: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 10**30, "", MARKER * 5_000, [], [MARKER], {}, {MARKER: MARKER}),
    *([[[[[]]]]], "\u202e" + MARKER, "ﬀ" + MARKER, "\u200b", "a\nb", "' OR 1=1 --" + MARKER),
    *("{{ 7 * 7 }}" + MARKER, "${jndi:ldap://x}" + MARKER, "../../etc/passwd", "A" * 65),
    *("00000000-0000-0000-0000-00000000000g", "2030-01-01", "2030-99-01T00:00:00Z", "1", "-5"),
)


@dataclass(frozen=True)
class Bad:
    """Arguments of a kind that may be wrong, and how they were made."""

    request: type[JobRequest]
    arguments: Any
    how: str


def kinds() -> dict[str, type[JobRequest]]:
    """Return the kinds that may be asked for from outside."""
    return {each.kind: each for each in JOB_REQUESTS if each.for_requesters}


def mutations() -> Iterator[Bad]:
    """Yield each good example with one thing after the other made wrong."""
    for kind, request in kinds().items():
        good = GOOD[kind]
        for name in good:
            yield Bad(request, {k: v for k, v in good.items() if k != name}, f"without {name}")
        yield Bad(request, {**good, MARKER: 1}, "with an unknown name")
        yield Bad(request, {**good, "requested_by": "member:1"}, "saying who asks")
        for name in _fields(request):
            for number, wrong in enumerate(_WRONG):
                yield Bad(request, {**good, name: wrong}, f"{name} = wrong {number}")
        for number, wrong in enumerate(([], "x", 1, True)):
            yield Bad(request, wrong, f"all of it wrong {number}")


def combinations(count: int, *, seed: int) -> Iterator[Bad]:
    """Yield ``count`` examples with several things wrong at once, always the same."""
    chance = random.Random(seed)
    names = sorted(kinds())
    for number in range(count):
        kind = chance.choice(names)
        request = kinds()[kind]
        arguments = dict(GOOD[kind])
        for name in chance.sample(
            sorted(request.model_fields), k=min(2, len(request.model_fields))
        ):
            arguments[name] = chance.choice(_WRONG)
        yield Bad(request, arguments, f"combination {number}")


def _fields(request: type[JobRequest]) -> list[str]:
    return sorted(request.model_fields.keys() - {"requested_by"})
