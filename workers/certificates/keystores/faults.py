"""The faults that one entry of a keystore may have, in words. Pure.

The words are ours; the kinds are the documented refusals of the model (rules 25 to 28), and those
that their reader would otherwise meet as a handshake that fails.
"""

from workers.certificates.keystores.entries import EntryFault, shown

RSA_SIZES = (2048, 3072, 4096)  # rule 5
_SIZES = ", ".join(map(str, RSA_SIZES[:-1])) + f" or {RSA_SIZES[-1]}"
OF_TRUSTED_ENTRIES = ("trusted-unreadable",)

_FROM_SOURCE = "export it again from where it was made"


def unopened_key(alias: str, *, own_given: bool) -> EntryFault:
    """Return the fault of a key that no password given opens (rule 25)."""
    if own_given:
        what = f"Neither the store password nor the key password opens the key of {shown(alias)}"
        remedy = "give the password of this key, or change it to the store's with keytool"
    else:
        what = f"The key of {shown(alias)} has a password that is not the keystore's"
        remedy = "change it to the store's with keytool -keypasswd, or give the key password too"
    return EntryFault(alias=alias, code="key-password", what=what, how_to_fix=remedy)


def own_password(alias: str) -> EntryFault:
    """Return the fault of a key that opened, but not with the store's password (rule 25)."""
    return EntryFault(
        alias=alias,
        code="key-password",
        what=f"The key of {shown(alias)} has a password that is not the keystore's",
        how_to_fix="change it to the store's with keytool -keypasswd",
    )


def unreadable_key(alias: str, reason: str) -> EntryFault:
    """Return the fault of a key that cannot be read whatever the password."""
    return EntryFault(
        alias=alias,
        code="key-unreadable",
        what=f"The key of {shown(alias)} cannot be read, {reason}",
        how_to_fix=_FROM_SOURCE,
    )


def not_pkcs8(alias: str) -> EntryFault:
    """Return the fault of a key in another encoding (rule 26)."""
    return EntryFault(
        alias=alias,
        code="not-pkcs8",
        what=f"The key of {shown(alias)} is not in PKCS #8 format",
        how_to_fix="convert it with openssl pkcs8 -topk8 and make the keystore again",
    )


def wrong_key_type(alias: str, kind: str) -> EntryFault:
    """Return the fault of a key that is not RSA, where only that is let in (rule 26)."""
    return EntryFault(
        alias=alias,
        code="not-rsa",
        what=f"The key of {shown(alias)} is not an RSA key but {kind}",
        how_to_fix="leave the entry out, or ask for keys of any type to be let in",
    )


def unsupported_key(alias: str, kind: str) -> EntryFault:
    """Return the fault of a key of a type that keywright has no use for."""
    return EntryFault(
        alias=alias,
        code="key-type",
        what=f"The key of {shown(alias)} is {kind}",
        how_to_fix="leave the entry out; RSA keys are let in, EC and Ed25519 keys on request",
    )


def wrong_key_size(alias: str, bits: int) -> EntryFault:
    """Return the fault of an RSA key of a size that is not let in (rule 26)."""
    return EntryFault(
        alias=alias,
        code="key-size",
        what=f"The key of {shown(alias)} has {bits:,} bits",
        how_to_fix=f"imported keys must have {_SIZES}; make a new key",
    )


def bad_numbers(alias: str) -> EntryFault:
    """Return the fault of a key whose numbers do not fit together or are no primes."""
    return EntryFault(
        alias=alias,
        code="key-invalid",
        what=f"The numbers of the key of {shown(alias)} make no valid key",
        how_to_fix=f"it is damaged or was made by a faulty program; {_FROM_SOURCE}",
    )


def no_certificate(alias: str) -> EntryFault:
    """Return the fault of a private key that stands alone (rule 26)."""
    return EntryFault(
        alias=alias,
        code="no-certificate",
        what=f"No certificate of the keystore belongs to the key of {shown(alias)}",
        how_to_fix="put its certificate and the issuers of it into the keystore",
    )


def bad_certificate(alias: str, position: int) -> EntryFault:
    """Return the fault of a certificate that cannot be read; positions count from 1."""
    return EntryFault(
        alias=alias,
        code="certificate-unreadable",
        what=f"Certificate {position} of {shown(alias)} cannot be read",
        how_to_fix="put an intact copy into the keystore",
    )


def bad_trusted_certificate(alias: str) -> EntryFault:
    """Return the fault of a trusted certificate that cannot be read."""
    return EntryFault(
        alias=alias,
        code="trusted-unreadable",
        what=f"The trusted certificate {shown(alias)} cannot be read",
        how_to_fix="put an intact copy into the keystore, or leave it out",
    )


def altered_certificate(alias: str, position: int) -> EntryFault:
    """Return the fault of a certificate that names itself as its signer and is not."""
    return EntryFault(
        alias=alias,
        code="chain-broken",
        what=f"Certificate {position} of {shown(alias)} is not as it was when it was self-signed",
        how_to_fix="put an intact copy into the keystore",
    )


def long_chain(alias: str, length: int, allowed: int) -> EntryFault:
    """Return the fault of a chain with too many certificates (rule 20)."""
    return EntryFault(
        alias=alias,
        code="chain-too-long",
        what=f"The chain of {shown(alias)} has {length:,} certificates",
        how_to_fix=f"{allowed} are allowed; leave out those that do not belong to it",
    )


def mismatch(alias: str, matching: int | None) -> EntryFault:
    """Return the fault of a key and a certificate that are no pair (rule 26).

    ``matching`` is the position in the chain, from 1, of the one that would match.
    """
    remedy = (
        "replace the certificate, or the key, by its counterpart"
        if matching is None
        else f"certificate {matching} would match: write the chain with that one first"
    )
    return EntryFault(
        alias=alias,
        code="key-mismatch",
        what=f"The private key of {shown(alias)} does not match its certificate chain",
        how_to_fix=remedy,
    )


def broken_chain(alias: str, position: int) -> EntryFault:
    """Return the fault of a chain of which one certificate did not sign the one before it."""
    return EntryFault(
        alias=alias,
        code="chain-broken",
        what=(
            f"In the chain of {shown(alias)}, certificate {position + 1} did not sign"
            f" certificate {position}"
        ),
        how_to_fix="put each certificate's issuer directly after it, and no others",
    )


def bad_alias(alias: str) -> EntryFault:
    """Return the fault of an alias that cannot become a unique name (rule 27)."""
    return EntryFault(
        alias=alias,
        code="alias",
        what=f"The alias {shown(alias)} is not acceptable for import",
        how_to_fix=(
            "change it with keytool -changealias to at most 64 letters, digits and single"
            " underscores, a letter first and no underscore last"
        ),
    )


def doubled_alias(alias: str) -> EntryFault:
    """Return the fault of two aliases that are told apart by letter case alone."""
    return EntryFault(
        alias=alias,
        code="alias-twice",
        what=f"The alias {shown(alias)} is there twice but for letter case",
        how_to_fix="change one of them",
    )


def taken_name(alias: str) -> EntryFault:
    """Return the fault of an alias that is a certificate's unique name already (rule 28)."""
    return EntryFault(
        alias=alias,
        code="name-taken",
        what=f"A certificate with the unique name {shown(alias)} is there already",
        how_to_fix="change the alias with keytool -changealias; nothing is ever overwritten",
    )
