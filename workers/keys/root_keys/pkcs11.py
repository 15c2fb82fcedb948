"""A root key in a PKCS #11 token, such as a hardware security module: AES-256, not extractable."""

import hmac
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from workers.errors import InvalidRequestError
from workers.keys.root_keys import envelope
from workers.keys.root_keys.pkcs11_module import load_module, module_lock, restart
from workers.keys.root_keys.pkcs11_uri import TokenPlace
from workers.keys.root_keys.root_key import RootKeyUnavailableError
from workers.keys.root_keys.secret_file import read_secret_file

if TYPE_CHECKING:
    from pkcs11.types import Session, Token

SecretKey: TypeAlias = Any
"""Its type in the binding lacks the abilities that are mixed in at run time."""

_KEY_BITS = 8 * envelope.KEY_BYTES


class Pkcs11RootKey:
    """An AES-256 key in a token, which wraps and unwraps by AES-GCM itself.

    The token is asked for when it is needed first. Its session belongs to one process and is opened
    again after a fork and after the token was away. Safe in threads: one at a time uses the module.
    Every method raises RootKeyUnavailableError where the token does not do it right now, and
    InvalidRequestError where the setting ``variable`` or the key in the token has to be corrected.
    """

    def __init__(self, place: TokenPlace, *, variable: str = "KEYWRIGHT_ROOT_KEY") -> None:
        self._place = place
        self._variable = variable
        self._opened: tuple[int, Session, SecretKey] | None = None
        self._refused_pin: bytes | None = None

    @property
    def identifier(self) -> str:
        """``pkcs11:`` and the token's and the key's name, as an RFC 7512 URI."""
        return self._place.identifier

    def wrap(self, key: bytes, *, context: Mapping[str, str]) -> bytes:
        """Return ``key`` wrapped by AES-256-GCM, with ``context`` as associated data."""
        envelope.check_key(key)
        nonce = os.urandom(envelope.NONCE_BYTES)
        authenticated = envelope.associated_data(context)
        sealed = self._use(lambda root: _encrypt(root, nonce, key, authenticated))
        if sealed is None or len(sealed) != envelope.KEY_BYTES + envelope.TAG_BYTES:
            raise self._away("does not encrypt as it should")
        return envelope.join(nonce, sealed)

    def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
        """Return the key that was wrapped with the same ``context``.

        Raises:
            WrappedKeyError: ``wrapped`` or ``context`` is not what it was.
        """
        nonce, sealed = envelope.split(wrapped, self.identifier)
        authenticated = envelope.associated_data(context)
        key = self._use(lambda root: _decrypt(root, nonce, sealed, authenticated))
        if key is None:
            raise envelope.does_not_open(self.identifier)
        return key

    def _use(self, call: Callable[[SecretKey], bytes]) -> bytes | None:
        """Return what ``call`` does with the key; None if the key works, but not for this.

        Tokens have no common word for data that does not authenticate (SoftHSM says "general
        error"), so a probe tells whose fault it is.
        """
        from pkcs11.exceptions import PKCS11Error  # noqa: PLC0415  # an extra

        with module_lock():
            for _ in range(2):
                root = self._key()
                try:
                    return call(root)
                except PKCS11Error as error:
                    trouble = type(error).__name__
                if _works(root):
                    return None
                self._close()  # the session may be of another time: once more with a new one
            raise self._away(f"fails ({trouble})")

    def _key(self) -> SecretKey:
        if self._opened is not None and self._opened[0] == os.getpid():
            return self._opened[2]
        self._opened = None  # without closing it: it is our parent's
        session = self._log_in(self._token())
        try:
            root = self._find(session)
        except BaseException:
            self._opened = None
            _close(session)
            raise
        self._opened = os.getpid(), session, root
        return root

    def _token(self) -> "Token":
        from pkcs11.exceptions import PKCS11Error  # noqa: PLC0415  # an extra

        wanted = {"token_label": self._place.token, "token_serial": self._place.serial}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        try:
            module = load_module(self._place.module, variable=self._variable)
            try:
                token: Token = module.get_token(**wanted)
            except PKCS11Error:
                # Some modules look for tokens only when they begin.
                restart(module)
                token = module.get_token(**wanted)
        except PKCS11Error as error:
            raise self._away(
                f"is not there ({type(error).__name__})", "insert or initialize it"
            ) from error
        return token

    def _log_in(self, token: "Token") -> "Session":
        from pkcs11 import exceptions  # noqa: PLC0415  # an extra

        pin = read_secret_file(
            self._place.pin_file, variable=self._variable, what="the PIN of the token"
        ).rstrip(b"\r\n")
        if self._refused_pin is not None and hmac.compare_digest(self._refused_pin, pin):
            # A few more tries would lock the token.
            raise self._away("has refused the PIN", f"correct {self._place.pin_file}")
        try:
            text = pin.decode()
        except UnicodeDecodeError:
            raise InvalidRequestError(
                f"{self._variable}: {self._place.pin_file} holds no PIN in UTF-8; correct it."
            ) from None
        refusals = (
            exceptions.PinIncorrect,
            exceptions.PinInvalid,
            exceptions.PinLenRange,
            exceptions.PinExpired,
            exceptions.PinLocked,
        )
        try:
            return token.open(user_pin=text)
        except exceptions.UserAlreadyLoggedIn:
            return token.open()  # by another root key in it: sessions of a process log in together
        except refusals as error:
            self._refused_pin = pin
            raise self._away(
                f"refuses the PIN ({type(error).__name__})", f"correct {self._place.pin_file}"
            ) from error
        except exceptions.PKCS11Error as error:
            raise self._away(f"does not let us in ({type(error).__name__})") from error

    def _find(self, session: "Session") -> SecretKey:
        """Return the key, if it is one that nobody can carry away.

        Raises:
            InvalidRequestError: there is none, several, or one of another kind.
        """
        from pkcs11.constants import Attribute, ObjectClass  # noqa: PLC0415  # an extra
        from pkcs11.exceptions import PKCS11Error  # noqa: PLC0415
        from pkcs11.mechanisms import KeyType  # noqa: PLC0415

        wanted = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.LABEL: self._place.label,
            Attribute.ID: self._place.key_id,
        }
        wanted = {name: value for name, value in wanted.items() if value is not None}
        try:
            found: list[SecretKey] = list(session.get_objects(wanted))
            if not found:
                raise self._correct("holds no secret key of that name; make it, or correct the URI")
            if len(found) > 1:
                raise self._correct("holds several secret keys of that name; tell them apart by id")
            key = found[0]
            is_aes = key[Attribute.KEY_TYPE] == KeyType.AES and key.key_length == _KEY_BITS
            is_kept = not key[Attribute.EXTRACTABLE] and bool(key[Attribute.SENSITIVE])
            does_both = bool(key[Attribute.ENCRYPT]) and bool(key[Attribute.DECRYPT])
        except PKCS11Error as error:
            raise self._away(f"does not show its keys ({type(error).__name__})") from error
        if not is_aes or not does_both:
            raise self._correct(
                "holds another kind of key; a root key is AES-256, to encrypt and decrypt"
            )
        if not is_kept:
            raise self._correct(
                "would hand the key out; make one that is sensitive and not extractable, and move"
                " the master keys to it"
            )
        return key

    def _close(self) -> None:
        if self._opened is not None:
            _close(self._opened[1])
            self._opened = None

    def _away(
        self, what: str, fix: str = "see to the token and its software"
    ) -> RootKeyUnavailableError:
        return RootKeyUnavailableError(f"The token of {self.identifier} {what}; {fix}.")

    def _correct(self, what: str) -> InvalidRequestError:
        return InvalidRequestError(f"{self._variable}: the token of {self.identifier} {what}.")


def check_installed() -> None:
    """Refuse to go on without the binding.

    Raises:
        InvalidRequestError: it is not there; the text says how to install it.
    """
    try:
        import pkcs11  # noqa: F401, PLC0415
    except ImportError:
        raise InvalidRequestError(
            "Root keys in a token need python-pkcs11; run `pip install 'keywright[pkcs11]'`."
        ) from None


def _encrypt(root: SecretKey, nonce: bytes, key: bytes, authenticated: bytes) -> bytes:
    from pkcs11.mechanisms import GCMParams, Mechanism  # noqa: PLC0415  # an extra

    gcm = GCMParams(nonce, authenticated)
    sealed: bytes = root.encrypt(key, mechanism=Mechanism.AES_GCM, mechanism_param=gcm)
    return sealed


def _decrypt(root: SecretKey, nonce: bytes, sealed: bytes, authenticated: bytes) -> bytes:
    from pkcs11.mechanisms import GCMParams, Mechanism  # noqa: PLC0415  # an extra

    gcm = GCMParams(nonce, authenticated)
    key: bytes = root.decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=gcm)
    return key


def _works(root: SecretKey) -> bool:
    from pkcs11.exceptions import PKCS11Error  # noqa: PLC0415  # an extra

    nonce, probe = os.urandom(envelope.NONCE_BYTES), os.urandom(envelope.KEY_BYTES)
    try:
        return _decrypt(root, nonce, _encrypt(root, nonce, probe, b""), b"") == probe
    except PKCS11Error:
        return False


def _close(session: "Session") -> None:
    from pkcs11.exceptions import PKCS11Error  # noqa: PLC0415  # an extra

    try:
        session.close()
    except PKCS11Error:
        return  # it is gone already
