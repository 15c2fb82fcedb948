"""Refusing a chain, with everything that is wrong with it. Pure."""

from collections.abc import Sequence
from typing import Any

from workers.certificates.signing.findings import ChainFault
from workers.errors import InvalidRequestError

_MOST_IN_SENTENCE = 20
_MOST_IN_PROBLEM = 200


class ChainRefusedError(InvalidRequestError):
    """Something is wrong with an uploaded chain; ``faults`` is all of it."""

    code = "chain-refused"
    title = "The chain cannot be taken in"

    def __init__(
        self,
        unique_name: str,
        faults: Sequence[ChainFault],
        warnings: Sequence[ChainFault] = (),
    ) -> None:
        self.faults = tuple(faults)
        self.warnings = tuple(warnings)
        number = "one thing is" if len(faults) == 1 else f"{len(faults)} things are"
        told = " ".join(
            f"({place}) {fault}" for place, fault in enumerate(faults[:_MOST_IN_SENTENCE], start=1)
        )
        if len(faults) > _MOST_IN_SENTENCE:
            told += f" … and {len(faults) - _MOST_IN_SENTENCE} more."
        super().__init__(
            f"The chain for “{unique_name}” was refused and nothing was changed; {number} wrong:"
            f" {told}"
        )

    def problem(self, instance: str) -> dict[str, Any]:
        """Describe it with each fault on its own, so that machines can tell them apart."""
        return super().problem(instance) | {
            "faults": [
                {
                    "code": fault.code.value,
                    "position": fault.position,
                    "line": fault.line,
                    "what": _storable(fault.what),
                    "how_to_fix": _storable(fault.how_to_fix),
                }
                for fault in self.faults[:_MOST_IN_PROBLEM]
            ]
        }


def _storable(text: str) -> str:
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
