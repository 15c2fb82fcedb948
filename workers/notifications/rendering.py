"""From a digest to the subject and the two bodies of its mail. Pure, the templates aside."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any, Literal, TypedDict

from markupsafe import escape

from workers.notifications.message_templates import load_template
from workers.notifications.plain_text import plain, shorten
from workers.notifications.wording import (
    days_left,
    headline,
    kind_in_words,
    moment_in_words,
    name_in_words,
    place_in_words,
    status_in_words,
    steps_to_take,
    zone_or_utc,
)

MAX_SUBJECT_LENGTH = 110
MAX_ENTRIES = 40
"""Certificates told in full; a page of more would be cut off by some clients, at about 100 kB."""
_MAX_PLACES = 20
_MAX_VALUE_LENGTH = 200  # a distinguished name may be of any length
_MIN_LABEL_LENGTH = 16
_SOON_DAYS = 10
# Stands for the recipient's name. Of private use, so that no text of ours or others' holds it.
_ANYBODY = "\ue000"


@dataclass(frozen=True, kw_only=True, slots=True)
class DigestItem:
    """One certificate version to tell of.

    ``kind`` is a ``certificate_kind`` of the schema, ``not_after`` is aware, ``used_in`` names
    places such as ``SAML configuration: Okta``. ``replaced``: a successor exists, but this one is
    still in use. ``ends_first`` names the one of its chain that ends at ``not_after``, where it is
    not itself.
    """

    label: str
    unique_name: str
    kind: str
    issuer: str
    subject: str
    serial: str
    not_after: datetime
    tier_days: int
    used_in: tuple[str, ...]
    replaced: bool
    ends_first: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Digest:
    """All that one recipient is told in one mail.

    ``time_zone`` is an IANA name; ``reason`` completes “You receive this because …”.
    """

    organization: str
    is_sandbox: bool
    recipient_name: str
    time_zone: str
    items: tuple[DigestItem, ...]
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedMail:
    """A message before it is addressed: one line of subject, and the same content twice."""

    subject: str
    text: str
    html: str


class _Entry(TypedDict):
    """A certificate as the templates show it; they read dictionaries faster than objects."""

    label: str
    unique_name: str | None
    urgency: Literal["urgent", "soon", "later"]
    status: str
    moment: str
    facts: tuple[tuple[str, str], ...]
    places: tuple[str, ...]
    more_places: int
    steps: tuple[str, ...]


def render_digest(digest: Digest, *, now: datetime) -> RenderedMail:
    """Render the mail of a digest with at least one item, most urgent first."""
    # Those who hear of a certificate mostly hear of the same ones: only the name is their own.
    mail = _render_for_anybody(replace(digest, recipient_name=_ANYBODY), now)
    name = plain(digest.recipient_name)
    return RenderedMail(
        subject=mail.subject,
        text=mail.text.replace(_ANYBODY, name),
        html=mail.html.replace(_ANYBODY, escape(name)),
    )


@lru_cache(maxsize=64)
def _render_for_anybody(digest: Digest, now: datetime) -> RenderedMail:
    zone = zone_or_utc(digest.time_zone)
    items = sorted(digest.items, key=lambda item: (item.not_after, item.unique_name))
    entries = [_entry(item, now, zone) for item in items[:MAX_ENTRIES]]
    values: dict[str, Any] = {
        "organization": plain(digest.organization),
        "is_sandbox": digest.is_sandbox,
        "recipient_name": _ANYBODY,
        "time_zone": str(zone),
        "reason": plain(digest.reason),
        "headline": headline([item.not_after for item in items], now, zone),
        "entries": entries,
        "more_entries": len(items) - len(entries),
    }
    values["subject"] = _subject(values, entries[0]["label"])
    return RenderedMail(
        subject=values["subject"],
        text=load_template("expiry_digest/body.txt").render(values),
        html=load_template("expiry_digest/body.html").render(values),
    )


def _subject(values: dict[str, Any], label: str) -> str:
    """Render the subject; where it is too long, shorten the label, then the organization."""
    template = load_template("expiry_digest/subject.txt")
    organization = values["organization"]
    subject = template.render(values, label=label)
    if (excess := len(subject) - MAX_SUBJECT_LENGTH) > 0:
        label = shorten(label, max(_MIN_LABEL_LENGTH, len(label) - excess))
        subject = template.render(values, label=label)
    if (excess := len(subject) - MAX_SUBJECT_LENGTH) > 0:
        organization = shorten(organization, max(1, len(organization) - excess))
        subject = template.render(values, label=label, organization=organization)
    return subject


def _entry(item: DigestItem, now: datetime, zone: tzinfo) -> _Entry:
    label = plain(item.label) or item.unique_name
    places = [place_in_words(place) for place in item.used_in]
    return _Entry(
        label=label,
        unique_name=None if label == item.unique_name else item.unique_name,
        urgency=_urgency(days_left(item.not_after, now, zone)),
        status=status_in_words(item.not_after, now, zone),
        moment=moment_in_words(item.not_after, zone),
        facts=_facts(item),
        places=_values(places[:_MAX_PLACES]),
        more_places=max(0, len(places) - _MAX_PLACES),
        steps=steps_to_take(item.kind, replaced=item.replaced, in_use=bool(places)),
    )


def _facts(item: DigestItem) -> tuple[tuple[str, str], ...]:
    names = ["Type", "Issuer", "Subject", "Serial"]
    values = _values(
        [
            kind_in_words(item.kind),
            name_in_words(item.issuer),
            name_in_words(item.subject),
            item.serial,
        ]
    )
    facts = tuple(
        (name, value)
        for name, value in zip(names, values, strict=True)
        if name != "Subject" or item.subject != item.issuer
    )
    if item.ends_first is None:
        return facts
    [chain] = _values([f"ends first with {name_in_words(item.ends_first)}"])
    return (*facts, ("Chain", chain))


def _values(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(shorten(plain(text), _MAX_VALUE_LENGTH) for text in texts)


def _urgency(days: int) -> Literal["urgent", "soon", "later"]:
    if days <= 1:
        return "urgent"
    return "soon" if days <= _SOON_DAYS else "later"
