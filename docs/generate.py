"""``python -m docs.generate`` writes docs/reference/ from the code.

The pages are committed, so that they can be read without running anything; a test compares them
with what this module would write.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from docs.pages.announcements import announcements_page
from docs.pages.asyncapi import asyncapi_page
from docs.pages.commands import commands_page
from docs.pages.jobs import jobs_page
from docs.pages.schema import schema_page
from docs.pages.settings import settings_page

FOLDER = Path(__file__).parent / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "jobs.md": jobs_page,
    "announcements.md": announcements_page,
    "schema.md": schema_page,
    "asyncapi.json": asyncapi_page,
}


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
