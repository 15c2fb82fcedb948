"""A root key in a file: 32 random bytes, base64 on one line."""

import binascii
import hmac
import os
import tempfile
import threading
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shlex import quote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.errors import InvalidRequestError
from workers.keys.root_keys import envelope
from workers.keys.root_keys.secret_file import read_secret_file

_FINGERPRINT_LABEL = b"keywright root key fingerprint v1"
_FINGERPRINT_CHARACTERS = 16


class FileRootKey:
    """The root key in the file at ``path``, which is read when it is needed first.

    ``variable`` is the setting that named it, for the errors. With ``create_if_missing`` the file
    is made at first use, and never overwritten: whoever else does so at the same time ends up with
    the same key.

    Every method raises InvalidRequestError where the file does not do, saying how to put it right.
    """

    def __init__(
        self, path: Path, *, variable: str = "KEYWRIGHT_ROOT_KEY", create_if_missing: bool = False
    ) -> None:
        self._path = path
        self._variable = variable
        self._create_if_missing = create_if_missing
        self._lock = threading.Lock()
        self._opened: tuple[str, AESGCM] | None = None

    @property
    def identifier(self) -> str:
        """``file:`` and a fingerprint of the key, so that the file may be moved."""
        return self._open()[0]

    def wrap(self, key: bytes, *, context: Mapping[str, str]) -> bytes:
        """Return ``key`` wrapped by AES-256-GCM, with ``context`` as associated data."""
        envelope.check_key(key)
        _, cipher = self._open()
        nonce = os.urandom(envelope.NONCE_BYTES)
        return envelope.join(nonce, cipher.encrypt(nonce, key, envelope.associated_data(context)))

    def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
        """Return the key that was wrapped with the same ``context``.

        Raises:
            WrappedKeyError: ``wrapped`` or ``context`` is not what it was.
        """
        identifier, cipher = self._open()
        nonce, sealed = envelope.split(wrapped, identifier)
        try:
            return cipher.decrypt(nonce, sealed, envelope.associated_data(context))
        except InvalidTag:
            raise envelope.does_not_open(identifier) from None

    def _open(self) -> tuple[str, AESGCM]:
        with self._lock:
            if self._opened is None:
                if self._create_if_missing:
                    _create(self._path, self._variable)
                content = read_secret_file(self._path, variable=self._variable, what="the root key")
                key = _decode(content, self._path, self._variable)
                fingerprint = hmac.digest(key, _FINGERPRINT_LABEL, "sha256").hex()
                self._opened = f"file:{fingerprint[:_FINGERPRINT_CHARACTERS]}", AESGCM(key)
            return self._opened


def parse_path(text: str, *, variable: str) -> Path:
    """Return the path in ``file:/path``, whose part after the colon is ``text``.

    Raises:
        InvalidRequestError: it is no absolute path.
    """
    path = text.removeprefix("//") if text.startswith("///") else text
    if not path.startswith("/") or path.startswith("//") or "\0" in path or path.endswith("/"):
        raise InvalidRequestError(
            f"{variable}: after file: comes the absolute path of a file, as in"
            " file:/etc/keywright/root.key."
        )
    return Path(path)


def _decode(content: bytes, path: Path, variable: str) -> bytes:
    make = f"`(umask 077; openssl rand -base64 {envelope.KEY_BYTES} > {quote(str(path))})`"
    try:
        key = b64decode(content.strip(), validate=True)
    except binascii.Error:
        raise InvalidRequestError(
            f"{variable}: {path} does not hold a root key as one line of base64; restore it from"
            f" its backup, or make a new one with {make} if nothing is encrypted yet."
        ) from None
    if len(key) != envelope.KEY_BYTES:
        raise InvalidRequestError(
            f"{variable}: the key in {path} has {len(key)} bytes instead of {envelope.KEY_BYTES};"
            f" restore it from its backup, or make a new one with {make} if nothing is encrypted"
            " yet."
        )
    return key


def _create(path: Path, variable: str) -> None:
    """Make the file with a new key unless there is one, and durably: everything will need it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _link_new_key(path)
        # Also where somebody else made it: they may not have come so far before we use the key.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise InvalidRequestError(
            f"{variable}: cannot create the root key {path} ({error.strerror}); make its folder"
            " writable, or name another place."
        ) from error


def _link_new_key(path: Path) -> None:
    """Give the name to a file that is complete; a link, unlike a rename, replaces nothing."""
    descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # is 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(b64encode(os.urandom(envelope.KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        Path(unfinished).unlink()
