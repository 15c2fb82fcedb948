"""The entries of one file as they are found: counted, placed, and with advice. Pure."""

from workers.certificates.reading.der import MalformedError
from workers.certificates.reading.fields import read_certificate
from workers.certificates.reading.found import Fault, FileReading, FoundCertificate
from workers.certificates.reading.shapes import Shape

MAX_FAULTS_PER_FILE = 1000

ANY_FORM = "import certificates in PEM, DER or PKCS #7 form"
_WHAT_TO_DO: dict[str, str] = {
    Shape.REQUEST: "have it signed and import the certificate that comes back",
    Shape.REVOCATION_LIST: "leave it out",
    Shape.PUBLIC_KEY: "import the certificate that holds it",
    Shape.PRIVATE_KEY: "import the certificate that belongs to it",
    Shape.KEYSTORE: "write its certificates out first, with openssl pkcs12 -nokeys -in FILE",
    Shape.JAVA_KEYSTORE: "write its certificates out first, with keytool -list -rfc -keystore FILE",
}


class Entries:
    """What has been found in a file so far; ``line`` is where an entry begins, in PEM files."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._count = 0
        self._certificates: list[FoundCertificate] = []
        self._faults: list[Fault] = []
        self._strangers: list[Fault] = []
        self._holds_private_key = False

    @property
    def are_hopeless(self) -> bool:
        """Whether there are so many faults that reading on serves nobody."""
        return len(self._faults) + len(self._strangers) >= MAX_FAULTS_PER_FILE

    def add_certificate(self, der: bytes, line: int | None = None) -> None:
        """Read a certificate; one that cannot be read is a fault."""
        try:
            certificate = read_certificate(
                der, source=self._source, position=self._count + 1, line=line
            )
        except MalformedError as error:
            self.add_broken(error, line)
        else:
            self._count += 1
            self._certificates.append(certificate)

    def add_broken(self, error: MalformedError, line: int | None = None) -> None:
        """Add something that meant to be a certificate, or to hold some."""
        self.add_fault(f"the certificate is broken: {error}", error.how_to_fix, line)

    def add_wrong(self, shape: Shape, line: int | None = None) -> None:
        """Add something that was said to be a certificate and is none."""
        self.add_fault(f"this is {shape}", _WHAT_TO_DO.get(shape, ANY_FORM), line)

    def add_fault(self, what: str, how_to_fix: str, line: int | None = None) -> None:
        """Add any other fault."""
        self._faults.append(self._place(what, how_to_fix, line))

    def add_private_key(self) -> None:
        """Note that there is a private key, and nothing else about it."""
        self._holds_private_key = True

    def add_stranger(self, what: str, line: int | None = None) -> None:
        """Add something that never said it was a certificate; ``what`` as in "this is …"."""
        how_to_fix = _WHAT_TO_DO.get(what, ANY_FORM)
        self._strangers.append(self._place(f"this is {what}", how_to_fix, line))

    def result(self) -> FileReading:
        """Return it all; a file without any entry is a stranger itself."""
        if not (self._certificates or self._faults or self._strangers):
            self.add_stranger(Shape.PRIVATE_KEY if self._holds_private_key else Shape.UNKNOWN)
        if self.are_hopeless:
            self.add_fault("there are too many faults in this file to read on", ANY_FORM)
        return FileReading(
            certificates=tuple(self._certificates),
            faults=tuple(self._faults),
            strangers=tuple(self._strangers),
            holds_private_key=self._holds_private_key,
        )

    def _place(self, what: str, how_to_fix: str, line: int | None) -> Fault:
        self._count += 1
        return Fault(
            source=self._source,
            position=self._count,
            line=line,
            what=what,
            how_to_fix=how_to_fix,
        )
