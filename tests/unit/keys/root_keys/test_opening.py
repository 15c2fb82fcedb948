"""The settings of root keys: their form is checked at once, what they name when it is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

from workers.errors import InvalidRequestError
from workers.keys.root_keys import RootKey, open_root_keys
from workers.keys.root_keys.aws_kms import AwsKmsRootKey
from workers.keys.root_keys.file import FileRootKey
from workers.keys.root_keys.pkcs11 import Pkcs11RootKey

ARN = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TOKEN = "pkcs11:token=t;object=k?module-path=/nowhere.so&pin-source=/nowhere"
SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("file:/nowhere/root.key", FileRootKey),
        (f"aws-kms:{ARN}", AwsKmsRootKey),
        ("aws-kms:alias/keywright?region=eu-central-1", AwsKmsRootKey),
        (TOKEN, Pkcs11RootKey),
    ],
)
def test_a_root_key_opens_although_it_is_away(text: str, kind: type[RootKey]) -> None:
    root_keys = open_root_keys(text, text)
    assert isinstance(root_keys.current, kind)
    assert len(root_keys.former) == 1
    assert isinstance(root_keys.former[0], kind)
    assert open_root_keys(text).former == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file",
        "root.key",
        "/etc/keywright/root.key",
        f"FILE:/{SECRET}",
        f"gcp-kms:{SECRET}",
        SECRET,
        "file:",
        f"file:{SECRET}",
        f"aws-kms:{SECRET}",
        f"pkcs11:{SECRET}",
        f"pkcs11:token=t;object=k?module-path=/m.so&pin-value={SECRET}",
    ],
)
def test_a_malformed_setting_is_refused_by_its_name_and_without_its_value(text: str) -> None:
    good = f"aws-kms:{ARN}"
    with pytest.raises(InvalidRequestError, match=r"^KEYWRIGHT_ROOT_KEY: ") as current:
        open_root_keys(text, good)
    with pytest.raises(InvalidRequestError, match=r"^KEYWRIGHT_FORMER_ROOT_KEY: ") as former:
        open_root_keys(good, text)
    assert SECRET not in str(current.value) + str(former.value)


def test_an_unknown_kind_is_told_which_there_are() -> None:
    with pytest.raises(InvalidRequestError, match=r"file:/.*aws-kms:arn.*aws-kms:alias.*pkcs11:"):
        open_root_keys("vault:transit/keywright")


def test_only_the_current_root_key_is_ever_made(tmp_path: Path) -> None:
    current, former = tmp_path / "current.key", tmp_path / "former.key"
    root_keys = open_root_keys(f"file:{current}", f"file:{former}", create=True)
    assert list(tmp_path.iterdir()) == []
    assert root_keys.current.identifier.startswith("file:")
    assert current.exists()
    with pytest.raises(InvalidRequestError, match="KEYWRIGHT_FORMER_ROOT_KEY: there is no file"):
        _ = root_keys.former[0].identifier
    with pytest.raises(InvalidRequestError, match="KEYWRIGHT_ROOT_KEY: there is no file"):
        _ = open_root_keys(f"file:{former}").current.identifier


@pytest.mark.parametrize(
    ("text", "library", "extra"),
    [(f"aws-kms:{ARN}", "boto3", "aws"), (TOKEN, "pkcs11", "pkcs11")],
)
def test_a_missing_extra_is_named(text: str, library: str, extra: str) -> None:
    program = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from workers.errors import InvalidRequestError\n"
        "from workers.keys.root_keys import open_root_keys\n"
        "try: open_root_keys(sys.argv[1])\n"
        "except InvalidRequestError as error: print(error)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program, text], capture_output=True, text=True, check=True
    ).stdout
    assert f"pip install 'keywright[{extra}]'" in shown


def test_no_library_of_a_provider_is_imported_before_it_is_needed() -> None:
    program = (
        "import sys, workers.keys.root_keys as root_keys\n"
        "root_keys.open_root_keys('file:/nowhere')\n"
        "assert not {'boto3', 'botocore', 'pkcs11'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
