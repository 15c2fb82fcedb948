"""Reading JKS and JCEKS through pyjks; runs in the child process.

pyjks takes the file apart and checks its integrity. The keys are decrypted here one by one,
since JDK 20 and later leave out the algorithm's parameters, which pyjks insists on, and since the
iterations that a file asks for are to be looked at before they are done.
"""

import logging
import struct
from itertools import islice

from jks import KeyStore
from jks.jks import PrivateKeyEntry, TrustedCertEntry
from jks.sun_crypto import SUN_JCE_ALGO_ID, SUN_JKS_ALGO_ID, jce_pbe_decrypt, jks_pkey_decrypt
from jks.util import (
    BadHashCheckException,
    BadPaddingException,
    DuplicateAliasException,
    KeystoreSignatureException,
)

from workers.certificates.keystores.entries import (
    EntryFault,
    Format,
    KeyEntry,
    KeystoreReading,
    TrustedEntry,
)
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.faults import unopened_key, unreadable_key
from workers.certificates.keystores.limits import Limits
from workers.certificates.keystores.password_encryption import WrongPasswordError, opened_key
from workers.certificates.reading.der import (
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    Element,
    MalformedError,
    oid_text,
    read_element,
)

_JKS_PROTECTION = ".".join(map(str, SUN_JKS_ALGO_ID))
_JCE_PROTECTION = ".".join(map(str, SUN_JCE_ALGO_ID))
_SALT_BYTES = 8
_MOST_KEY_BYTES = 64 * 1024
_COUNT_AT = 8  # after the magic number and the version


class _JavaStore(KeyStore):
    """A keystore whose texts are read as Java writes them."""

    @classmethod
    def _read_utf(
        cls,
        data: bytes,
        pos: int,
        kind: str | None = None,  # noqa: ARG003  # pyjks passes it
    ) -> tuple[str, int]:
        # Modified UTF-8 (java.io.DataInput): NUL in two bytes, rare characters as surrogates.
        (size,) = struct.unpack_from(">H", data, pos)
        encoded = data[pos + 2 : pos + 2 + size].replace(b"\xc0\x80", b"\0")
        units = encoded.decode("utf-8", "surrogatepass").encode("utf-16-be", "surrogatepass")
        return units.decode("utf-16-be", "replace"), pos + 2 + size


def read_java_keystore(
    data: bytes,
    *,
    store_format: Format,
    store_password: str,
    key_password: str | None,
    limits: Limits,
) -> KeystoreReading:
    """Read a JKS or JCEKS file; entries that cannot be read are faults.

    Raises:
        KeystoreError: the file as a whole cannot be read.
    """
    # javaobj logs what it has parsed when it fails.
    logging.getLogger("javaobj").setLevel(logging.CRITICAL + 1)
    entries = _take_apart(data, store_password, limits).entries
    passwords = [store_password]
    if key_password is not None and key_password != store_password:
        passwords.insert(0, key_password)
    keys: list[KeyEntry] = []
    trusted: list[TrustedEntry] = []
    faults: list[EntryFault] = []
    passed_over: list[str] = []
    for alias, entry in entries.items():
        if isinstance(entry, PrivateKeyEntry):
            opened = _open(alias, entry, passwords, limits)
            if isinstance(opened, EntryFault):
                faults.append(opened)
                continue
            private_key, password = opened
            keys.append(
                KeyEntry(
                    alias=alias,
                    private_key=private_key,
                    chain=tuple(der for _, der in entry.cert_chain),
                    has_own_password=password != store_password,
                )
            )
        elif isinstance(entry, TrustedCertEntry):
            trusted.append(TrustedEntry(alias=alias, certificate=entry.cert))
        else:
            passed_over.append(alias)
    return KeystoreReading(
        format=store_format,
        keys=tuple(keys),
        trusted=tuple(trusted),
        faults=tuple(faults),
        passed_over=tuple(passed_over),
    )


def _take_apart(data: bytes, store_password: str, limits: Limits) -> KeyStore:
    if len(data) >= _COUNT_AT + 4:
        (count,) = struct.unpack_from(">I", data, _COUNT_AT)
        if count > limits.max_entries:
            raise KeystoreError(
                f"The keystore claims {count:,} entries; {limits.max_entries:,} are allowed:"
                " divide it, or copy it again if it has fewer."
            )
    try:
        return _JavaStore.loads(data, store_password, try_decrypt_keys=False)
    except KeystoreSignatureException:
        raise KeystoreError(
            "The store password is wrong, or the keystore was altered after it was written."
        ) from None
    except DuplicateAliasException as error:
        raise KeystoreError(
            "The keystore has two entries with the same alias; write it again with keytool."
        ) from error
    except MemoryError:
        raise
    except Exception as error:
        # pyjks and javaobj let through whatever the bytes make happen, of any class.
        raise KeystoreError(
            "The keystore is cut off or damaged; copy it again as a whole."
        ) from error


def _open(
    alias: str, entry: PrivateKeyEntry, passwords: list[str], limits: Limits
) -> tuple[bytes, str] | EntryFault:
    """Return the PKCS #8 DER of a key, and the password that opened it."""
    try:
        protection, parameters, ciphertext = _protection(entry)
        for password in passwords:
            try:
                return _decrypt(protection, parameters, ciphertext, password, limits), password
            except WrongPasswordError:
                continue
    except MalformedError as error:
        return unreadable_key(alias, str(error))
    return unopened_key(alias, own_given=len(passwords) > 1)


def _protection(entry: PrivateKeyEntry) -> tuple[str, Element | None, bytes]:
    """Return the algorithm's name, its parameters and the ciphertext (RFC 5208 §6)."""
    encrypted: bytes = entry._encrypted  # type: ignore[attr-defined]  # noqa: SLF001
    algorithm, data = _children(read_element(encrypted), 2)
    name, *parameters = _children(algorithm, 1)
    if data.tag != OCTET_STRING or len(data.content) > _MOST_KEY_BYTES:
        raise MalformedError("it is no encrypted key or a very large one")
    return oid_text(name.content), parameters[0] if parameters else None, data.content


def _decrypt(
    protection: str, parameters: Element | None, ciphertext: bytes, password: str, limits: Limits
) -> bytes:
    if protection not in (_JKS_PROTECTION, _JCE_PROTECTION):
        raise MalformedError(f"its protection {protection} is not known")
    try:
        if protection == _JKS_PROTECTION:
            return jks_pkey_decrypt(ciphertext, password)
        salt, iterations = _children(parameters, 2)
        if salt.tag != OCTET_STRING or len(salt.content) != _SALT_BYTES:
            raise MalformedError("the salt of its protection cannot be read")
        if not password.isascii():  # as Java has it; no such key can have been written
            raise WrongPasswordError
        count = _iterations(iterations, limits)
        return opened_key(jce_pbe_decrypt(ciphertext, password, salt.content, count))
    except (BadHashCheckException, BadPaddingException):
        raise WrongPasswordError from None
    except (ValueError, UnicodeError) as error:
        if isinstance(error, MalformedError):
            raise
        # A ciphertext that is no whole number of blocks, a password that is no text.
        raise WrongPasswordError from None


def _iterations(iterations: Element, limits: Limits) -> int:
    count = int.from_bytes(iterations.content, "big", signed=True)
    if iterations.tag != INTEGER or count <= 0:
        raise MalformedError("the number of iterations of its protection cannot be read")
    if count > limits.max_iterations:
        raise MalformedError(
            f"its protection asks for more iterations than the {limits.max_iterations:,} allowed"
        )
    return count


def _children(element: Element | None, least: int) -> list[Element]:
    children: list[Element] = []
    if element is not None and element.tag == SEQUENCE:
        children = list(islice(element.children(), 2))
    if len(children) < least:
        raise MalformedError("its protection cannot be read")
    return children
