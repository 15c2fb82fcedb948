"""The door to keystores from outside: whatever the file, one clear error, bounded time and memory.

A keystore is read by a child process that the kernel holds to the limits. The file and the
passwords reach it over a socket that has no name, never by arguments or files.
"""

import unicodedata

from workers.certificates.keystores.entries import KeystoreReading
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.exchange import NotAnAnswerError, decode_answer, encode_request
from workers.certificates.keystores.helper import NoAnswerError, helper_of_this_process
from workers.certificates.keystores.limits import Limits

_MAX_PASSWORD_CHARACTERS = 1_000
_MIB = 1024 * 1024
_USUAL_LIMITS = Limits()


def read_keystore(
    data: bytes,
    *,
    store_password: str,
    key_password: str | None = None,
    limits: Limits = _USUAL_LIMITS,
) -> KeystoreReading:
    """Read a JKS, JCEKS, PKCS #12 or PEM keystore; its format is told by its content.

    Every private key is decrypted and fully checked, against its certificate too; entries that
    are no good are among the faults of the reading. ``key_password`` is tried before the store's.

    Raises:
        KeystoreError: the file as a whole cannot be read, or asks for more than the limits.
        HelperUnavailableError: no child process can be started right now.
    """
    if len(data) > limits.max_bytes:
        raise KeystoreError(
            f"The keystore has {len(data):,} bytes; {limits.max_bytes:,} are allowed: divide it."
        )
    for password in (store_password, key_password or ""):
        if len(password) > _MAX_PASSWORD_CHARACTERS:
            raise KeystoreError(
                f"password: at most {_MAX_PASSWORD_CHARACTERS:,} characters; give the right one."
            )
    # As they are written (``check_password``): the same letters may be typed in two ways.
    store_password = unicodedata.normalize("NFC", store_password)
    key_password = key_password and unicodedata.normalize("NFC", key_password)
    request = encode_request(
        data, store_password=store_password, key_password=key_password, limits=limits
    )
    try:
        answer = helper_of_this_process().ask(
            request,
            seconds=limits.wall_seconds,
            most_answer_bytes=4 * limits.max_bytes + _MIB,
        )
        return decode_answer(answer)
    except NoAnswerError:
        raise KeystoreError(
            f"Reading the keystore takes more than the {limits.cpu_seconds} seconds of computing"
            f" and {limits.memory_bytes // _MIB:,} MiB of memory allowed; write it again with"
            " fewer entries or iterations, or copy it again if it has few."
        ) from None
    except NotAnAnswerError:
        raise KeystoreError(
            "The keystore is damaged in a way that cannot be told more closely; copy it again."
        ) from None
