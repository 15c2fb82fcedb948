"""The error of an upload that was not accepted, with everything that is wrong. Values only."""

from collections.abc import Sequence
from typing import Any

from workers.certificates.mutual_tls.findings import UploadFault
from workers.errors import InvalidRequestError


class RefusedUploadError(InvalidRequestError):
    """A client certificate or a root was not accepted; the text lists every fault."""

    code = "refused-certificate"
    title = "The certificate is not acceptable"

    def __init__(self, outcome: str, faults: Sequence[UploadFault]) -> None:
        self._outcome = outcome
        self.faults = tuple(faults)
        super().__init__(f"{outcome}:\n" + "\n".join(f"- {fault}" for fault in faults))

    def problem(self, instance: str) -> dict[str, Any]:
        """Describe this occurrence, with the faults as a list for machines."""
        return {
            **super().problem(instance),
            "detail": f"{self._outcome}: {' '.join(str(fault) for fault in self.faults)}",
            "faults": [{"code": fault.code, "detail": str(fault)} for fault in self.faults],
        }
