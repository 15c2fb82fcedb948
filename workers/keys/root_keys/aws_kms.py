"""A root key in AWS KMS, which never leaves it: master keys go there to be wrapped."""

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from workers.errors import InvalidRequestError
from workers.keys.root_keys import envelope
from workers.keys.root_keys.aws_kms_errors import translate

_ARN = re.compile(
    r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:(?P<kind>key|alias)/[a-zA-Z0-9:/_-]+"
)
_ALIAS = re.compile(r"alias/[a-zA-Z0-9/_-]+")
_REGION = re.compile(r"[a-z0-9-]+")
_FORMS = "aws-kms:arn:aws:kms:REGION:ACCOUNT:key/ID or aws-kms:alias/NAME?region=REGION"

_CONNECT_SECONDS = 3
_READ_SECONDS = 5
_ATTEMPTS = 3
_MOST_WRAPPED_BYTES = 6144  # of the API reference of Decrypt


@dataclass(frozen=True, kw_only=True)
class KmsPlace:
    """Where a key is: an ARN or an alias, and what the SDK cannot tell from it."""

    key: str
    region: str | None = None
    endpoint: str | None = None


class AwsKmsRootKey:
    """A symmetric key of AWS KMS; credentials come from where the AWS SDK finds them.

    Nothing is asked of KMS before it is needed. Safe in threads and after a fork. Every method
    raises RootKeyUnavailableError where KMS does not do it right now, or not for us, and
    InvalidRequestError where the setting ``variable`` has to be corrected.
    """

    def __init__(self, place: KmsPlace, *, variable: str = "KEYWRIGHT_ROOT_KEY") -> None:
        self._place = place
        self._variable = variable
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._client: Any = None
        arn = _ARN.fullmatch(place.key)
        # An alias may be moved to another key: we stay with the one that it named first.
        self._key_arn = place.key if arn is not None and arn["kind"] == "key" else None

    @property
    def identifier(self) -> str:
        """``aws-kms:`` and the ARN of the key, also where an alias was given."""
        return f"aws-kms:{self._arn()}"

    def wrap(self, key: bytes, *, context: Mapping[str, str]) -> bytes:
        """Return what KMS made of ``key``: its bytes describe themselves, and are kept as they are.

        ``context`` is the encryption context: AWS CloudTrail records it in the clear.
        """
        envelope.check_key(key)
        answer = self._call(
            "encrypt", KeyId=self._arn(), Plaintext=key, EncryptionContext=dict(context)
        )
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
        """Return the key that was wrapped with the same ``context``.

        Raises:
            WrappedKeyError: ``wrapped`` or ``context`` is not what it was.
        """
        if not 0 < len(wrapped) <= _MOST_WRAPPED_BYTES:
            raise envelope.does_not_open(self.identifier)
        answer = self._call(
            "decrypt", KeyId=self._arn(), CiphertextBlob=wrapped, EncryptionContext=dict(context)
        )
        if answer["KeyId"] != self._arn():
            raise envelope.does_not_open(self.identifier)
        return bytes(answer["Plaintext"])

    def _arn(self) -> str:
        if self._key_arn is None:
            self._key_arn = self._call("describe_key", KeyId=self._place.key)["KeyMetadata"]["Arn"]
        return self._key_arn

    def _call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # an extra

        try:
            answer: Mapping[str, Any] = getattr(self._connected(), operation)(**arguments)
        except (BotoCoreError, ClientError) as error:
            # Its text may hold addresses and parts of credentials: it is dropped.
            raise translate(
                error, key=self._key_arn or self._place.key, variable=self._variable
            ) from None
        return answer

    def _connected(self) -> Any:
        """Return the client, which threads may share; processes may not share its connections."""
        if self._process != os.getpid():
            self._process, self._lock, self._client = os.getpid(), threading.Lock(), None
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Any:
        import boto3  # noqa: PLC0415  # an extra, and slow to import
        from botocore.config import Config  # noqa: PLC0415

        return boto3.session.Session().client(
            "kms",
            region_name=self._place.region,
            endpoint_url=self._place.endpoint,
            config=Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            ),
        )


def parse_place(text: str, *, variable: str) -> KmsPlace:
    """Return what ``aws-kms:…`` names; ``text`` is the part after the first colon.

    Raises:
        InvalidRequestError: it is in none of the accepted forms.
    """
    key, _, query = text.partition("?")
    arn = _ARN.fullmatch(key)
    if arn is None and _ALIAS.fullmatch(key) is None:
        raise InvalidRequestError(f"{variable}: a key of AWS KMS is given as {_FORMS}.")
    options = _options(query, variable)
    region = options.get("region", arn["region"] if arn else None)
    if region is not None and not _REGION.fullmatch(region):
        raise InvalidRequestError(
            f"{variable}: region is a name such as eu-central-1, and that of the key."
        )
    if arn is not None and region != arn["region"]:
        raise InvalidRequestError(
            f"{variable}: the ARN names another region than region=; leave that away."
        )
    endpoint = options.get("endpoint")
    if endpoint is not None and not _is_safe(endpoint):
        raise InvalidRequestError(
            f"{variable}: endpoint must begin with https://, for cleartext keys are sent there;"
            " http:// is taken for this machine alone."
        )
    return KmsPlace(key=key, region=region, endpoint=endpoint)


def check_installed() -> None:
    """Refuse to go on without the SDK.

    Raises:
        InvalidRequestError: it is not there; the text says how to install it.
    """
    try:
        import boto3  # noqa: F401, PLC0415
    except ImportError:
        raise InvalidRequestError(
            "Root keys in AWS KMS need boto3; run `pip install 'keywright[aws]'`."
        ) from None


def _options(query: str, variable: str) -> dict[str, str]:
    try:
        pairs = (
            parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
            if query
            else []
        )
    except ValueError:
        pairs = [("", "")]
    options = dict(pairs)
    if len(options) < len(pairs) or not options.keys() <= {"region", "endpoint"}:
        raise InvalidRequestError(
            f"{variable}: after the key of AWS KMS may come ?region=… and &endpoint=…, once each."
        )
    return options


def _is_safe(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname
    except ValueError:
        return False
    if not host or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (
        parts.scheme == "http" and host in {"localhost", "127.0.0.1", "::1"}
    )
