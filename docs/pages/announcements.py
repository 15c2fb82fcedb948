"""The page of what is announced."""

import json

from docs.pages.markdown import code, page
from workers.contract.announcements import ANNOUNCEMENTS, Announcement
from workers.contract.envelope import event_type

_INTRODUCTION = """
What keywright tells others, as CloudEvents: over RabbitMQ, by webhook, and to who looks it up. How
to listen is in [react to announcements](../how-to/react-to-announcements.md) and
[webhooks](../how-to/webhooks.md). Fields may be added to `data`; none is renamed or removed.
"""


def announcements_page() -> str:
    """Describe every kind of announcement."""
    return page("Announcements", _INTRODUCTION, *(_section(each) for each in ANNOUNCEMENTS))


def _section(told: Announcement) -> str:
    schema = told.data.model_json_schema(mode="serialization")
    # We say no more than this today; a reader is to put up with more.
    del schema["title"], schema["description"], schema["additionalProperties"]
    return "\n\n".join(
        [
            f"## {told.kind}",
            told.meaning,
            f"Type {code(event_type(told.kind))}, subject such as {code(told.subject)}. Data:",
            f"```json\n{json.dumps(schema, indent=2)}\n```",
        ]
    )
