"""Reading PKCS #12: every key of the file, its chain, and the certificates beside them.

``cryptography`` gives only the first key of a file, and says nothing of the others. This runs in
the child process of ``reading``: the file may be hostile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from workers.certificates.keystores import pkcs12_structure as structure
from workers.certificates.keystores.entries import (
    EntryFault,
    KeyEntry,
    KeystoreReading,
    TrustedEntry,
)
from workers.certificates.keystores.entry_names import fill_in_names, own_name
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.faults import unopened_key, unreadable_key
from workers.certificates.keystores.limits import Limits
from workers.certificates.keystores.password_encryption import (
    PasswordDecryption,
    WrongPasswordError,
    octets,
    opened_key,
)
from workers.certificates.keystores.pkcs12_chains import BaggedCertificate, CertificatesOfFile
from workers.certificates.keystores.pkcs12_integrity import check_mac
from workers.certificates.reading.der import MalformedError

_NESTED_AT_MOST = 4


@dataclass(kw_only=True)
class _Found:
    """What the bags hold, in the order of the file."""

    keys: list[tuple[structure.Bag, bytes, bool]] = field(default_factory=list)
    certificates: list[BaggedCertificate] = field(default_factory=list)
    faults: list[EntryFault] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    entries: int = 0


def read_pkcs12(
    data: bytes, *, store_password: str, key_password: str | None = None, limits: Limits
) -> KeystoreReading:
    """Return everything in a PKCS #12 file; its MAC is checked before anything is decrypted.

    Raises:
        KeystoreError: it is damaged, protected in a way that is not supported, above a limit, or
            the password is another.
    """
    decryption = PasswordDecryption(limits.max_iterations)
    passwords = [store_password]
    if key_password is not None and key_password != store_password:
        passwords.insert(0, key_password)
    try:
        authenticated, mac = structure.open_file(data)
        check_mac(authenticated, mac, store_password, decryption)
        found = _Found()
        for content in structure.contents(authenticated):
            clear = content.value
            if content.algorithm is not None:
                clear = decryption.decrypt(content.algorithm, clear, store_password)
            for bag in _flat(clear, 0):
                _take(bag, found, decryption, passwords, limits)
        return _put_together(found, limits)
    except MalformedError as error:
        raise KeystoreError(
            f"The keystore is damaged: {error}; copy it again from where it came from."
        ) from None
    except WrongPasswordError:
        raise KeystoreError(
            "The keystore does not open: the password is another, or the file was altered; check"
            " the password, or copy the file again."
        ) from None


def _flat(safe_contents: bytes, depth: int) -> Iterator[structure.Bag]:
    """Yield the bags, those within bags among them."""
    for bag in structure.bags(safe_contents):
        if bag.kind != structure.SAFE_BAG:
            yield bag
        elif depth == _NESTED_AT_MOST:
            raise MalformedError("its entries are nested too deep")
        else:
            yield from _flat(bag.value.encoded, depth + 1)


def _take(
    bag: structure.Bag,
    found: _Found,
    decryption: PasswordDecryption,
    passwords: Sequence[str],
    limits: Limits,
) -> None:
    found.entries += 1
    if found.entries > limits.max_entries:
        raise _too_many("entries", limits.max_entries)
    if bag.kind == structure.CERTIFICATE_BAG:
        der = structure.certificate_in(bag.value)
        if der is None:
            found.passed_over.append(bag.name or "")
            return
        found.certificates.append(
            BaggedCertificate(der=der, name=bag.name, key_id=bag.key_id, trusted=bag.trusted)
        )
    elif bag.kind in (structure.KEY_BAG, structure.SHROUDED_KEY_BAG):
        if len(found.keys) + len(found.faults) >= limits.max_keys:
            raise _too_many("private keys", limits.max_keys)
        if bag.kind == structure.KEY_BAG:
            found.keys.append((bag, bag.value.encoded, False))
            return
        alias = bag.name or f"key_{len(found.keys) + 1}"
        try:
            key, has_own_password = _open_key(bag, decryption, passwords)
        except WrongPasswordError:
            found.faults.append(unopened_key(alias, own_given=len(passwords) > 1))
        except MalformedError as error:
            found.faults.append(unreadable_key(alias, str(error)))
        else:
            found.keys.append((bag, key, has_own_password))
    else:  # secret keys and revocation lists among them
        found.passed_over.append(bag.name or "")


def _open_key(
    bag: structure.Bag, decryption: PasswordDecryption, passwords: Sequence[str]
) -> tuple[bytes, bool]:
    """Return the key in a bag, and whether another password than the last opened it."""
    algorithm, ciphertext = structure.parts(bag.value, 2)[:2]
    encrypted = octets(ciphertext)
    for number, password in enumerate(passwords, 1):
        try:
            return opened_key(decryption.decrypt(algorithm, encrypted, password)), number < len(
                passwords
            )
        except WrongPasswordError:
            continue
    raise WrongPasswordError


def _put_together(found: _Found, limits: Limits) -> KeystoreReading:
    certificates = CertificatesOfFile(found.certificates)
    chains = [
        certificates.chain_of(private_key, bag.key_id, at_most=limits.max_chain_length)
        for bag, private_key, _ in found.keys
    ]
    names = fill_in_names(
        [bag.name for bag, _, _ in found.keys],
        [own_name(chain[0]) if chain else "key" for chain in chains],
    )
    keys = [
        KeyEntry(
            alias=alias, private_key=private_key, chain=chain, has_own_password=has_own_password
        )
        for alias, chain, (_, private_key, has_own_password) in zip(
            names, chains, found.keys, strict=True
        )
    ]
    alone = list(certificates.standing_alone())
    names = fill_in_names(
        [each.name for each in alone], [each.name or own_name(each.der) for each in alone]
    )
    return KeystoreReading(
        format="pkcs12",
        keys=tuple(keys),
        trusted=tuple(
            TrustedEntry(alias=alias, certificate=each.der)
            for alias, each in zip(names, alone, strict=True)
        ),
        faults=tuple(found.faults),
        passed_over=tuple(found.passed_over),
    )


def _too_many(what: str, most: int) -> KeystoreError:
    return KeystoreError(f"The keystore has more than {most:,} {what}; divide it.")
