"""Name constraints: which names an authority may certify at all (RFC 5280 §4.2.1.10). Pure."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit

from cryptography import x509

from workers.certificates.signing.candidates import Candidate
from workers.certificates.signing.findings import Code, Findings, entry
from workers.certificates.signing.names import begins_with


def check_constraints(path: Sequence[Candidate], findings: Findings) -> None:
    """Check that no certificate of a chain, leaf first, has a name that one above it forbids."""
    for place, issuer in enumerate(path[1:], start=1):
        constraints = issuer.extension(x509.NameConstraints)
        if constraints is None:
            continue
        for below in path[:place]:
            if below.is_self_issued and below is not path[0]:
                continue
            for name in _names(below):
                if not _allows(constraints, name):
                    findings.add(
                        Code.NAME_CONSTRAINTS,
                        issuer.found,
                        f"it forbids the name “{_text(name)}” of"
                        f" {entry(below.found, seen_from=issuer.found)}",
                        "have that issued by an authority that may",
                    )


def _names(candidate: Candidate) -> Iterator[x509.GeneralName]:
    if candidate.certificate is not None and candidate.certificate.subject.rdns:
        yield x509.DirectoryName(candidate.certificate.subject)
    yield from candidate.extension(x509.SubjectAlternativeName) or ()


def _allows(constraints: x509.NameConstraints, name: x509.GeneralName) -> bool:
    if any(_is_within(name, each) for each in constraints.excluded_subtrees or ()):
        return False
    permitted = _of_kind(name, constraints.permitted_subtrees or ())
    return not permitted or any(_is_within(name, each) for each in permitted)


def _of_kind(
    name: x509.GeneralName, subtrees: Iterable[x509.GeneralName]
) -> list[x509.GeneralName]:
    return [each for each in subtrees if type(each) is type(name)]


def _is_within(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
    if isinstance(name, x509.DNSName) and isinstance(subtree, x509.DNSName):
        return _is_under(name.value, subtree.value, also_itself=True)
    if isinstance(name, x509.RFC822Name) and isinstance(subtree, x509.RFC822Name):
        if "@" in subtree.value:
            return name.value.casefold() == subtree.value.casefold()
        return _is_under(name.value.rpartition("@")[2], subtree.value)
    if isinstance(name, x509.UniformResourceIdentifier) and isinstance(
        subtree, x509.UniformResourceIdentifier
    ):
        return _is_under(_host(name.value), subtree.value)
    if isinstance(name, x509.IPAddress) and isinstance(subtree, x509.IPAddress):
        network = subtree.value
        return isinstance(network, IPv4Network | IPv6Network) and name.value in network
    if isinstance(name, x509.DirectoryName) and isinstance(subtree, x509.DirectoryName):
        return begins_with(name.value.public_bytes(), subtree.value.public_bytes())
    return False


def _is_under(host: str, domain: str, *, also_itself: bool = False) -> bool:
    """Whether a host is the domain, or one below it; of mail and web only where a dot says so."""
    host, domain = host.casefold(), domain.casefold()
    above = "." + domain.removeprefix(".")
    if domain.startswith("."):
        return host.endswith(above)
    return not domain or host == domain or (also_itself and host.endswith(above))


def _host(uri: str) -> str:
    try:
        return urlsplit(uri).hostname or ""
    except ValueError:
        return ""


def _text(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DirectoryName):
        return name.value.rfc4514_string()
    return str(name.value)
