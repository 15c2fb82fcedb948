"""What there is to say of an uploaded client certificate or root. Pure."""

from dataclasses import dataclass

from workers.certificates.reading.found import Fault, FoundCertificate
from workers.certificates.signing.findings import ChainFault


@dataclass(frozen=True, kw_only=True)
class UploadFault(Fault):
    """One finding: which, where in the file, what is wrong and what helps.

    ``code`` is stable: one of ours, or one of ``signing.findings.Code``.
    """

    code: str

    @classmethod
    def about(cls, found: FoundCertificate, code: str, what: str, how_to_fix: str) -> "UploadFault":
        """Return a finding about a certificate."""
        return cls(
            code=code,
            source=found.source,
            position=found.position,
            line=found.line,
            what=what,
            how_to_fix=how_to_fix,
        )

    @classmethod
    def of(cls, fault: Fault, *, code: str = "unreadable") -> "UploadFault":
        """Return what reading a file or verifying a chain found."""
        return cls(
            code=fault.code.value if isinstance(fault, ChainFault) else code,
            source=fault.source,
            position=fault.position,
            line=fault.line,
            what=fault.what,
            how_to_fix=fault.how_to_fix,
        )
