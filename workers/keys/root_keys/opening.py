"""From the text of a setting to a root key."""

from workers.errors import InvalidRequestError
from workers.keys.root_keys import aws_kms, pkcs11
from workers.keys.root_keys.aws_kms import AwsKmsRootKey, parse_place
from workers.keys.root_keys.file import FileRootKey, parse_path
from workers.keys.root_keys.pkcs11 import Pkcs11RootKey
from workers.keys.root_keys.pkcs11_uri import parse_uri
from workers.keys.root_keys.root_key import RootKey, RootKeys

CURRENT = "KEYWRIGHT_ROOT_KEY"
FORMER = "KEYWRIGHT_FORMER_ROOT_KEY"

FORMS = (
    "file:/etc/keywright/root.key, aws-kms:arn:aws:kms:…, aws-kms:alias/NAME?region=… or"
    " pkcs11:token=…;object=…?module-path=…&pin-source=file:…"
)


def open_root_keys(current: str, former: str | None = None, *, create: bool = False) -> RootKeys:
    """Return the root keys that the settings name; with ``create``, a file is made at first use.

    Only the texts are looked at, and whether the extras are installed: files, AWS KMS and tokens
    are asked when they are needed, so a worker starts while they are away.

    Raises:
        InvalidRequestError: a text is not in any of the accepted forms, or an extra is missing.
    """
    return RootKeys(
        current=_open(current, CURRENT, create=create),
        former=() if former is None else (_open(former, FORMER, create=False),),
    )


def _open(text: str, variable: str, *, create: bool) -> RootKey:
    def file(rest: str) -> RootKey:
        path = parse_path(rest, variable=variable)
        return FileRootKey(path, variable=variable, create_if_missing=create)

    def kms(rest: str) -> RootKey:
        place = parse_place(rest, variable=variable)
        aws_kms.check_installed()
        return AwsKmsRootKey(place, variable=variable)

    def token(rest: str) -> RootKey:
        place = parse_uri(rest, variable=variable)
        pkcs11.check_installed()
        return Pkcs11RootKey(place, variable=variable)

    providers = {"file": file, "aws-kms": kms, "pkcs11": token}
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in providers:
        # What stands there may be the key itself, so it is not repeated.
        raise InvalidRequestError(f"{variable}: a root key is given as {FORMS}.")
    return providers[scheme](rest)
