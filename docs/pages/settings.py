"""The page of the environment variables."""

from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from docs.pages.markdown import code, page, table
from workers.settings import CONNECTION_PREFIX, PREFIX, Settings

_INTRODUCTION = """
All settings are environment variables, read once when a process starts. A wrong one stops the
process with one line that names it. Each variable may be given as `<NAME>_FILE` instead: the path
of a file that holds the value, without surrounding blanks. Giving both is an error. An empty
variable counts as not given.

URLs may hold passwords. They never appear in logs, errors or job rows. The forms of
`KEYWRIGHT_SMTP_URL` are in [mail](../how-to/mail.md).

A root key is named in one of these forms; the setting says where the key is, and is no secret:

- `file:/etc/keywright/root.key`, an absolute path. The file holds 32 random bytes as one line of
  base64, as `openssl rand -base64 32` prints them, and only its owner may read it, unless it is
  mounted read-only as the secrets of containers are.
- `aws-kms:arn:aws:kms:REGION:ACCOUNT:key/ID` or `aws-kms:alias/NAME`, a symmetric key, with
  `?region=` where the SDK does not know it and `?endpoint=https://…` for a private endpoint. Needs
  `pip install 'keywright[aws]'`; credentials come from where the AWS SDK finds them.
- `pkcs11:token=NAME;object=LABEL?module-path=/usr/lib/….so&pin-source=file:/path`, the URI
  (RFC 7512) of an AES-256 key in a token that is sensitive and not extractable; `serial` and `id`
  may stand for `token` and `object`. The file holds the PIN. Needs
  `pip install 'keywright[pkcs11]'`.

`KEYWRIGHT_CONNECTION_<NAME>` may be given any number of times, once for each database. A name is a
letter and up to 30 letters, digits and underscores; `KEYWRIGHT_CONNECTION_BILLING` makes the
connection `billing`.
"""


def settings_page() -> str:
    """Describe every field of the settings."""
    rows = (
        (
            code(_variable(name)),
            _accepted(name, field),
            code(_default(field)),
            _sentence(field.description or ""),
        )
        for name, field in Settings.model_fields.items()
    )
    return page("Settings", _INTRODUCTION, table(("Variable", "Value", "Default", "Meaning"), rows))


def _variable(name: str) -> str:
    return f"{CONNECTION_PREFIX}<NAME>" if name == "connections" else PREFIX + name.upper()


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    return "" if default in (None, {}) else str(default)


def _accepted(name: str, field: FieldInfo) -> str:
    limits: dict[str, Any] = {}
    for constraint in field.metadata:
        limits |= {
            key: value
            for key in ("ge", "le", "pattern")
            if (value := getattr(constraint, key, None)) is not None
        }
    if "pattern" in limits:
        return str(limits["pattern"]).strip("^$()").replace("|", ", ")
    if "ge" in limits:
        return f"{limits['ge']} to {limits['le']}"
    if name == "connections":
        return _refusal({name: {"name": "-"}})
    if name.endswith(("url", "root_key")):
        return _refusal({name: "-"})
    return "path" if name.endswith("_dir") else "text"


def _refusal(given: dict[str, Any]) -> str:
    """Let the setting itself say what it must look like, by giving it what it refuses."""
    try:
        Settings.model_validate(given)
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, must begin with ")
    return "text"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
