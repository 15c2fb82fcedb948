"""Root keys in AWS KMS, against moto's server, which stands in for AWS (see tests.servers.kms)."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.servers.kms import CREDENTIALS, REGION, KmsServer, RefusingKms, kms_server, refusing_kms
from tests.servers.ports import LOOPBACK, free_port
from workers.errors import InvalidRequestError, KeywrightError
from workers.keys.root_keys import (
    RootKey,
    RootKeyUnavailableError,
    WrappedKeyError,
    open_root_keys,
)

KEY = bytes(range(32))
CONTEXT = {"organization": "7", "key-number": "1"}
ARN = f"arn:aws:kms:{REGION}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture(scope="module")
def kms() -> Iterator[KmsServer]:
    """The stand-in for AWS KMS."""
    with kms_server() as server:
        yield server


@pytest.fixture
def refusing() -> Iterator[RefusingKms]:
    """One that refuses everything."""
    with refusing_kms() as server:
        yield server


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def root_key(kms: KmsServer, key: str | None = None) -> RootKey:
    """Return a root key with a new key, if not another is given."""
    return open_root_keys(kms.setting(key or kms.create_key())).current


def refusal(key: RootKey) -> KeywrightError:
    """Return how a root key refuses to wrap."""
    with pytest.raises(KeywrightError) as refused:
        key.wrap(KEY, context=CONTEXT)
    return refused.value


def test_what_is_wrapped_is_unwrapped(kms: KmsServer) -> None:
    key = root_key(kms)
    wrapped = key.wrap(KEY, context=CONTEXT)
    assert KEY not in wrapped
    assert key.unwrap(wrapped, context=CONTEXT) == KEY


@pytest.mark.parametrize(
    "context",
    [{"organization": "8", "key-number": "1"}, {"organization": "7", "key-number": "2"}, {}],
)
def test_another_context_does_not_open_it(kms: KmsServer, context: dict[str, str]) -> None:
    key = root_key(kms)
    wrapped = key.wrap(KEY, context=CONTEXT)
    with pytest.raises(WrappedKeyError, match="does not open"):
        key.unwrap(wrapped, context=context)


@pytest.mark.parametrize(
    "alter",
    [
        lambda w: w[:-1] + bytes([w[-1] ^ 1]),
        lambda w: w[:-20],
        lambda _: b"",
        lambda w: w + bytes(6144),
    ],
)
def test_altered_bytes_do_not_open(kms: KmsServer, alter: Callable[[bytes], bytes]) -> None:
    key = root_key(kms)
    wrapped = key.wrap(KEY, context=CONTEXT)
    with pytest.raises(WrappedKeyError):
        key.unwrap(alter(wrapped), context=CONTEXT)


def test_another_key_of_the_same_account_does_not_open_it(kms: KmsServer) -> None:
    wrapped = root_key(kms).wrap(KEY, context=CONTEXT)
    # moto says that access is denied; AWS says IncorrectKeyException, which is tried below.
    with pytest.raises(RootKeyUnavailableError):
        root_key(kms).unwrap(wrapped, context=CONTEXT)


def test_an_alias_is_known_by_the_arn_of_its_key_and_stays_with_it(kms: KmsServer) -> None:
    arn = kms.create_key("alias/moving")
    key = root_key(kms, "alias/moving")
    assert key.identifier == f"aws-kms:{arn}"
    other = kms.create_key()
    kms.client.update_alias(AliasName="alias/moving", TargetKeyId=other)
    wrapped = key.wrap(KEY, context=CONTEXT)
    assert key.identifier == f"aws-kms:{arn}"
    assert root_key(kms, arn).unwrap(wrapped, context=CONTEXT) == KEY
    assert root_key(kms, "alias/moving").identifier == f"aws-kms:{other}"


def test_a_key_that_is_not_there_is_refused_by_name(kms: KmsServer) -> None:
    for missing in (ARN, "alias/missing"):
        error = refusal(root_key(kms, missing))
        assert isinstance(error, InvalidRequestError)
        assert str(error).startswith(f"KEYWRIGHT_ROOT_KEY: AWS KMS has no key {missing}")


def test_threads_share_a_root_key(kms: KmsServer) -> None:
    key = root_key(kms)

    def round_trip(number: int) -> bool:
        context = {"organization": "7", "key-number": str(number)}
        return key.unwrap(key.wrap(KEY, context=context), context=context) == KEY

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(round_trip, range(24)))


def test_a_child_process_connects_for_itself(kms: KmsServer) -> None:
    program = (
        "import os, sys\n"
        "from workers.keys.root_keys import open_root_keys\n"
        "key = open_root_keys(sys.argv[1]).current\n"
        "wrapped = key.wrap(bytes(32), context={})\n"
        "mine = key._client\n"
        "if os.fork() == 0:\n"
        "    fine = key.unwrap(wrapped, context={}) == bytes(32) and key._client is not mine\n"
        "    os._exit(0 if fine else 1)\n"
        "assert os.waitstatus_to_exitcode(os.wait()[1]) == 0\n"
        "assert key.unwrap(wrapped, context={}) == bytes(32) and key._client is mine\n"
    )
    subprocess.run([sys.executable, "-c", program, kms.setting(kms.create_key())], check=True)


def test_a_server_that_is_away_is_waited_for_and_works_again() -> None:
    port = free_port()
    key = open_root_keys(f"aws-kms:{ARN}?endpoint=http://{LOOPBACK}:{port}").current
    assert key.identifier == f"aws-kms:{ARN}"
    error = refusal(key)
    assert isinstance(error, RootKeyUnavailableError)
    assert str(error) == "AWS KMS cannot be reached (EndpointConnectionError); it is tried again."
    alias = f"aws-kms:alias/k?region={REGION}&endpoint=http://{LOOPBACK}:{port}"
    late = open_root_keys(alias).current
    with pytest.raises(RootKeyUnavailableError):
        _ = late.identifier
    with kms_server(port) as kms:
        arn = kms.create_key("alias/k")
        assert late.identifier == f"aws-kms:{arn}"
        assert late.unwrap(late.wrap(KEY, context=CONTEXT), context=CONTEXT) == KEY


def test_without_credentials_the_error_says_how_to_give_some(
    kms: KmsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = root_key(kms)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    error = refusal(key)
    assert isinstance(error, RootKeyUnavailableError)
    assert str(error).startswith("No AWS credentials are found (NoCredentialsError); give")


def test_a_profile_that_is_not_there_is_a_matter_of_credentials(
    kms: KmsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "missing")
    assert str(refusal(root_key(kms))).startswith("No AWS credentials are found (ProfileNotFound)")


def test_a_region_that_nobody_knows_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    error = refusal(open_root_keys("aws-kms:alias/k").current)
    assert isinstance(error, InvalidRequestError)
    assert "add ?region=" in str(error)


@pytest.mark.parametrize(
    ("code", "status", "kind", "words"),
    [
        ("ThrottlingException", 400, RootKeyUnavailableError, "too many requests"),
        ("LimitExceededException", 400, RootKeyUnavailableError, "too many requests"),
        ("Whatever", 429, RootKeyUnavailableError, "too many requests"),
        ("KMSInternalException", 500, RootKeyUnavailableError, "trouble of its own"),
        ("DependencyTimeoutException", 503, RootKeyUnavailableError, "trouble of its own"),
        ("DisabledException", 409, RootKeyUnavailableError, "enable it"),
        ("KMSInvalidStateException", 409, RootKeyUnavailableError, "cancel its deletion"),
        ("KeyUnavailableException", 500, RootKeyUnavailableError, "out of reach"),
        ("AccessDeniedException", 400, RootKeyUnavailableError, "grant kms:Encrypt, kms:Decrypt"),
        ("UnrecognizedClientException", 400, RootKeyUnavailableError, "refuses our credentials"),
        ("ExpiredTokenException", 400, RootKeyUnavailableError, "refuses our credentials"),
        ("InvalidSignatureException", 400, RootKeyUnavailableError, "correct the clock"),
        ("NotFoundException", 400, InvalidRequestError, "KEYWRIGHT_ROOT_KEY: AWS KMS has no key"),
        ("InvalidKeyUsageException", 400, InvalidRequestError, "no symmetric key"),
        ("SomethingNewException", 400, RootKeyUnavailableError, "(SomethingNewException)"),
        ("IncorrectKeyException", 400, WrappedKeyError, "does not open"),
        ("InvalidCiphertextException", 400, WrappedKeyError, "does not open"),
    ],
)
def test_a_refusal_of_aws_becomes_an_error_that_says_what_to_do(
    refusing: RefusingKms, code: str, status: int, kind: type[KeywrightError], words: str
) -> None:
    refusing.code, refusing.status = code, status
    error = refusal(open_root_keys(f"aws-kms:{ARN}?endpoint={refusing.endpoint}").current)
    assert type(error) is kind
    assert words in str(error)
    assert "a secret" not in str(error)
    assert error.__cause__ is None


def test_a_busy_server_is_asked_again_a_few_times(refusing: RefusingKms) -> None:
    key = open_root_keys(f"aws-kms:{ARN}?endpoint={refusing.endpoint}").current
    assert isinstance(refusal(key), RootKeyUnavailableError)
    assert refusing.requests == 3
    refusing.code, refusing.requests = "AccessDeniedException", 0
    assert isinstance(refusal(key), RootKeyUnavailableError)
    assert refusing.requests == 1
