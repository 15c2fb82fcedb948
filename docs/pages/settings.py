"""The page of the environment variables."""

from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from docs.pages.markdown import code, page, table
from workers.settings import PREFIX, Settings

_INTRODUCTION = """
All settings are environment variables, read once when a process starts. A wrong one stops the
process with one line that names it. Each variable may be given as `<NAME>_FILE` instead: the path
of a file that holds the value, without surrounding blanks. Giving both is an error. An empty
variable counts as not given.

URLs may hold passwords. They never appear in logs, errors or job rows. The forms of
`KEYWRIGHT_SMTP_URL` are in [mail](../how-to/mail.md).
"""


def settings_page() -> str:
    """Describe every field of the settings."""
    rows = (
        (
            code(PREFIX + name.upper()),
            _accepted(name, field),
            code("" if field.default is None else str(field.default)),
            _sentence(field.description or ""),
        )
        for name, field in Settings.model_fields.items()
    )
    return page("Settings", _INTRODUCTION, table(("Variable", "Value", "Default", "Meaning"), rows))


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
    if SecretStr in getattr(field.annotation, "__args__", ()) or "url" in name:
        return _refusal(name)
    return "path" if name.endswith("_dir") else "text"


def _refusal(name: str) -> str:
    """Let the setting itself say what a URL must look like, by giving it none."""
    try:
        Settings.model_validate({name: "-"})
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, must begin with ")
    return "text"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
