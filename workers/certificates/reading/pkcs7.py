"""The certificates of a PKCS #7 bundle: a SignedData (RFC 5652 §5.1), BER as often as DER. Pure."""

from collections.abc import Iterator

from workers.certificates.reading.der import CONTEXT_0, SEQUENCE, Element, MalformedError


def certificates_in_bundle(content_info: Element) -> Iterator[Element]:
    """Yield what stands in the set of certificates, in the order of the file; often nothing.

    Other kinds of certificate (attribute certificates, with a tag of their own) are passed over.

    Raises:
        MalformedError: the structure breaks off; what was yielded before is good.
    """
    _, content = _children(content_info, 2)
    (signed_data,) = _children(content, 1)
    # version, digestAlgorithms, encapContentInfo, [0] certificates, [1] crls, signerInfos
    for part in signed_data.children():
        if part.tag == CONTEXT_0:
            yield from (entry for entry in part.children() if entry.tag == SEQUENCE)
            return


def _children(element: Element, count: int) -> list[Element]:
    children = [child for child, _ in zip(element.children(), range(count), strict=False)]
    if len(children) < count:
        raise MalformedError("it has no content", "export it again")
    return children
