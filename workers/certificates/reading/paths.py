"""Reading everything a person named, files and folders, into one result."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workers.certificates.reading.chains import assemble_chain
from workers.certificates.reading.contents import read_certificates
from workers.certificates.reading.folders import (
    FileTooLargeError,
    files_in,
    read_found_file,
    read_named_file,
    source_name,
    unreadable,
)
from workers.certificates.reading.found import (
    Fault,
    FileReading,
    FoundCertificate,
    IgnoredFile,
    Reading,
    Remark,
)


@dataclass(frozen=True, kw_only=True)
class ReadingLimits:
    """How much is read at most."""

    file_bytes: int = 8 * 1024 * 1024
    files: int = 10_000
    certificates: int = 100_000


def read_paths(
    paths: Sequence[Path], *, chain: bool = False, limits: ReadingLimits | None = None
) -> Reading:
    """Read the certificates of every file named and of every file in the folders named.

    With ``chain``, the certificates of one file are a leaf and its issuers, and a file with a fault
    gives none. Never raises for what it finds: that becomes a fault.
    """
    limits = limits or ReadingLimits()
    gathered = _Gathered(limits=limits, chain=chain)
    for files, target in enumerate(_targets(paths)):
        if files == limits.files:
            gathered.limits_reached.append(f"Only the first {limits.files:,} files were looked at.")
            break
        gathered.take(target)
        if len(gathered.certificates) > limits.certificates:
            gathered.limits_reached.append(
                f"Only the first {limits.certificates:,} certificates were taken."
            )
            break
    return gathered.result()


@dataclass(frozen=True)
class _File:
    path: Path
    named: bool


def _targets(paths: Sequence[Path]) -> Iterator[_File | IgnoredFile | Fault]:
    for named in paths:
        try:
            is_folder = named.is_dir()
        except OSError as error:
            yield unreadable(named, error)
            continue
        if is_folder:
            for found in files_in(named):
                yield _File(found, named=False) if isinstance(found, Path) else found
        else:
            yield _File(named, named=True)


@dataclass(kw_only=True)
class _Gathered:
    limits: ReadingLimits
    chain: bool
    certificates: list[FoundCertificate] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    ignored: list[IgnoredFile] = field(default_factory=list)
    limits_reached: list[str] = field(default_factory=list)

    def take(self, target: _File | IgnoredFile | Fault) -> None:
        if isinstance(target, IgnoredFile):
            self.ignored.append(target)
        elif isinstance(target, Fault):
            self.faults.append(target)
        else:
            self._take_file(target)

    def result(self) -> Reading:
        return Reading(
            certificates=tuple(self.certificates[: self.limits.certificates]),
            faults=tuple(self.faults),
            remarks=tuple(self.remarks),
            ignored=tuple(self.ignored),
            limits=tuple(self.limits_reached),
        )

    def _take_file(self, file: _File) -> None:
        read = read_named_file if file.named else read_found_file
        source = source_name(file.path)
        try:
            data = read(file.path, max_bytes=self.limits.file_bytes)
        except OSError as error:
            self.faults.append(unreadable(file.path, error))
        except FileTooLargeError:
            self._leave_out(file, source)
        else:
            self._take_reading(read_certificates(data, source=source), source, named=file.named)

    def _leave_out(self, file: _File, source: str) -> None:
        size = f"it is larger than {self.limits.file_bytes:,} bytes"
        if file.named:
            self.faults.append(Fault(source=source, what=size, how_to_fix="import it in parts"))
        else:
            self.limits_reached.append(f"{source} was left out: {size}.")

    def _take_reading(self, reading: FileReading, source: str, *, named: bool) -> None:
        if not (named or reading.certificates or reading.faults):
            self.ignored.append(IgnoredFile(source, reading.strangers[0].what))
            return
        self.faults += sorted(
            (*reading.faults, *reading.strangers), key=lambda fault: fault.position or 0
        )
        if not self.chain:
            self.certificates += reading.certificates
        elif reading.certificates and not (reading.faults or reading.strangers):
            self._take_chain(assemble_chain(reading.certificates))
        if reading.holds_private_key and reading.certificates:
            self.remarks.append(
                Remark(source, "there is a private key in it, which was not read or stored")
            )

    def _take_chain(self, chain: FoundCertificate | Fault) -> None:
        if isinstance(chain, Fault):
            self.faults.append(chain)
        else:
            self.certificates.append(chain)
