"""The mail of a digest: what it says, in which order, and what it never lets through."""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from workers.notifications.rendering import (
    MAX_ENTRIES,
    MAX_SUBJECT_LENGTH,
    Digest,
    DigestItem,
    RenderedMail,
    render_digest,
)

NOW = datetime(2026, 11, 22, 7, tzinfo=UTC)
ITEM = DigestItem(
    label="SAML signing",
    unique_name="SAML_Signing",
    kind="self_signed",
    issuer="CN=saml.acme.example,O=Acme GmbH,C=DE",
    subject="CN=saml.acme.example,O=Acme GmbH,C=DE",
    serial="4c1f9a02d77be3",
    not_after=datetime(2026, 12, 1, 12, tzinfo=UTC),
    tier_days=10,
    used_in=("saml_configuration: Okta", "identity_provider: Acme IdP"),
    replaced=False,
)
DIGEST = Digest(
    organization="Acme",
    is_sandbox=False,
    recipient_name="Ann Müller",
    time_zone="Europe/Berlin",
    items=(ITEM,),
    reason="you hold “Receive certificate expiration notices”",
)


def render(*items: DigestItem, digest: Digest = DIGEST) -> RenderedMail:
    return render_digest(replace(digest, items=items), now=NOW)


def visible(html: str) -> str:
    """Return the text of a page as a reader sees it, blanks as one."""
    pieces: list[str] = []

    class Reader(HTMLParser):
        hidden = False

        def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
            self.hidden = tag in ("title", "style", "script")
            if tag in ("br", "td", "th"):
                pieces.append(" ")

        def handle_endtag(self, _tag: str) -> None:
            self.hidden = False

        def handle_data(self, data: str) -> None:
            if not self.hidden:
                pieces.append(data)

    Reader().feed(html)
    return " ".join("".join(pieces).split())


@pytest.mark.parametrize(
    ("days", "subject"),
    [
        (9, "[Acme] Certificate expires in 9 days: SAML signing"),
        (1, "[Acme] Certificate expires tomorrow: SAML signing"),
        (0, "[Acme] Certificate expires today: SAML signing"),
        (-1, "[Acme] Certificate expired yesterday: SAML signing"),
        (-3, "[Acme] Certificate expired 3 days ago: SAML signing"),
    ],
)
def test_the_subject_says_what_and_how_soon(days: int, subject: str) -> None:
    not_after = NOW + timedelta(days=days, hours=1)
    assert render(replace(ITEM, not_after=not_after)).subject == subject


def test_the_subject_names_the_most_urgent_of_several() -> None:
    later = replace(ITEM, label="Billing", not_after=ITEM.not_after + timedelta(days=20))
    mail = render(later, ITEM, later)
    assert mail.subject == "[Acme] 3 certificates expire, the first in 9 days: SAML signing"


def test_a_sandbox_is_marked_wherever_its_name_stands() -> None:
    mail = render(ITEM, digest=replace(DIGEST, is_sandbox=True))
    assert mail.subject == "[Acme (sandbox)] Certificate expires in 9 days: SAML signing"
    assert mail.text.startswith("Acme (sandbox): ")
    assert visible(mail.html).startswith("Acme (sandbox) ")


def test_a_long_subject_keeps_what_matters() -> None:
    digest = replace(DIGEST, organization="Amalgamated " + "Widgets " * 8, is_sandbox=True)
    items = [replace(ITEM, label=f"{number:02} " + "x" * 61) for number in range(12)]
    subject = render(*items, digest=digest).subject
    assert len(subject) == MAX_SUBJECT_LENGTH
    assert re.fullmatch(
        r"\[Amalgamated .+… \(sandbox\)\] 12 certificates expire in 9 days: 00 x+…", subject
    )


def test_a_long_label_is_shortened_before_the_organization() -> None:
    organization = "Amalgamated Widgets of Northern Europe"
    subject = render(
        replace(ITEM, label="x" * 64), digest=replace(DIGEST, organization=organization)
    ).subject
    assert len(subject) == MAX_SUBJECT_LENGTH
    assert subject.startswith(f"[{organization}] Certificate expires in 9 days: xxxx")
    assert subject.endswith("…")


HOSTILE = "\u202e<script>alert(1)</script>\r\nBcc: eve@example.org\x00 🔑"


def test_a_hostile_label_stays_a_label() -> None:
    mail = render(replace(ITEM, label=HOSTILE))
    shown = "<script>alert(1)</script> Bcc: eve@example.org 🔑"
    assert mail.subject == f"[Acme] Certificate expires in 9 days: {shown}"
    assert f"1. {shown} (SAML_Signing)\n" in mail.text
    assert "<script" not in mail.html
    assert shown in visible(mail.html)


@pytest.mark.parametrize("field", ["issuer", "subject", "serial", "label"])
def test_no_field_of_a_certificate_brings_markup_or_lines(field: str) -> None:
    mail = render(replace(ITEM, **{field: HOSTILE}))  # type: ignore[arg-type]
    assert "<script" not in mail.html
    assert "\nBcc:" not in mail.text
    assert not re.search("[\u202e\x00\r]", mail.text + mail.html)


def test_nor_does_a_place_a_name_or_an_organization() -> None:
    digest = replace(DIGEST, organization=HOSTILE, recipient_name=HOSTILE, reason=HOSTILE)
    mail = render(replace(ITEM, used_in=(HOSTILE,)), digest=digest)
    assert mail.subject.isprintable()
    assert "<script" not in mail.html
    assert "\nBcc:" not in mail.text
    assert not re.search("[\u202e\x00\r]", mail.text + mail.html)


def test_template_syntax_in_a_label_is_text() -> None:
    mail = render(replace(ITEM, label="{{ 7 * 7 }}{% raw %}"))
    assert "{{ 7 * 7 }}{% raw %}" in mail.text
    assert "{{ 7 * 7 }}{% raw %}" in visible(mail.html)


def test_a_label_of_nothing_visible_gives_way_to_the_unique_name() -> None:
    mail = render(replace(ITEM, label="\u200b\u2066"))
    assert mail.subject.endswith(": SAML_Signing")
    assert "1. SAML_Signing\n" in mail.text


def test_a_certificate_is_told_in_full() -> None:
    text = render(ITEM).text
    for line in (
        "1. SAML signing (SAML_Signing)",
        "   Expires in 9 days: Tue 1 Dec 2026, 13:00 CET (UTC+1)",
        "   Type:    self-signed",
        "   Issuer:  CN=saml.acme.example, O=Acme GmbH, C=DE",
        "   Serial:  4c1f9a02d77be3",
        "   Used in: SAML configuration: Okta",
        "            Identity provider: Acme IdP",
        "   1. Generate a new self-signed certificate.",
    ):
        assert f"{line}\n" in text
    assert "Subject:" not in text  # the same as the issuer


def test_the_subject_of_a_certificate_is_told_where_it_differs_from_the_issuer() -> None:
    text = render(replace(ITEM, subject="CN=billing.acme.example")).text
    assert "   Subject: CN=billing.acme.example\n" in text


def test_who_in_a_chain_ends_first_is_told() -> None:
    item = replace(ITEM, ends_first="CN=Acme Issuing,O=Acme GmbH")
    mail = render(item)
    assert "Chain:   ends first with CN=Acme Issuing, O=Acme GmbH" in mail.text
    assert "Chain ends first with CN=Acme Issuing, O=Acme GmbH" in visible(mail.html)
    assert "Chain" not in render(ITEM).text


def test_both_bodies_say_the_same() -> None:
    mail = render(
        ITEM,
        replace(ITEM, label="Billing", unique_name="Billing", kind="imported", used_in=()),
        replace(ITEM, kind="ca_signed", replaced=True, subject="CN=x", not_after=NOW),
    )
    text = re.sub(r"^ *\d+\. ", "", mail.text, flags=re.MULTILINE)  # the page numbers by itself
    assert Counter(re.findall(r"\w+", text)) == Counter(re.findall(r"\w+", visible(mail.html)))


def test_the_most_urgent_comes_first() -> None:
    labels = ["Alpha", "Beta", "Gamma"]
    ends = [timedelta(days=30), timedelta(days=-2), timedelta(hours=20)]
    mail = render(
        *(
            replace(ITEM, label=label, not_after=NOW + end)
            for label, end in zip(labels, ends, strict=True)
        )
    )
    for body in (mail.text, visible(mail.html)):
        assert body.index("Beta") < body.index("Gamma") < body.index("Alpha")
    assert (
        mail.subject == "[Acme] 3 certificates need attention, the first expired 2 days ago: Beta"
    )


def test_a_certificate_without_registered_use_says_so() -> None:
    mail = render(replace(ITEM, used_in=()))
    assert "Used in: no registered use\n" in mail.text
    assert "Used in no registered use" in visible(mail.html)


def test_a_replaced_certificate_still_in_use_asks_to_switch_and_not_to_generate() -> None:
    mail = render(replace(ITEM, replaced=True))
    for body in (mail.text, visible(mail.html)):
        assert "Switch the places above to its successor, which is there already" in body
        assert "Generate" not in body


def test_the_reader_is_told_why() -> None:
    mail = render(ITEM)
    why = "You receive this because you hold “Receive certificate expiration notices”."
    assert why in mail.text
    assert why in visible(mail.html)
    assert "Times are in Europe/Berlin." in mail.text


def test_times_are_in_the_zone_of_the_reader() -> None:
    mail = render(ITEM, digest=replace(DIGEST, time_zone="Asia/Tokyo"))
    assert "Tue 1 Dec 2026, 21:00 JST (UTC+9)" in mail.text
    assert "Times are in Asia/Tokyo." in mail.text


def test_an_unknown_zone_does_not_stop_the_mail() -> None:
    mail = render(ITEM, digest=replace(DIGEST, time_zone="Mars/Olympus"))
    assert "Tue 1 Dec 2026, 12:00 UTC\n" in mail.text
    assert "Times are in UTC." in mail.text


def test_beyond_the_limit_the_least_urgent_are_counted_and_it_says_so() -> None:
    items = [
        replace(ITEM, label=f"Label {number:03}", not_after=NOW + timedelta(days=100 - number))
        for number in range(MAX_ENTRIES + 7)
    ]
    mail = render(*items)
    assert mail.subject.startswith("[Acme] 47 certificates expire, the first in 54 days: Label 046")
    for body in (" ".join(mail.text.split()), visible(mail.html)):
        assert body.count("Label ") == MAX_ENTRIES
        assert "Label 006" not in body
        assert (
            f"These are the {MAX_ENTRIES} most urgent. 7 more: keywright certificate list" in body
        )


def test_a_full_mail_stays_below_what_clients_cut_off() -> None:
    item = replace(ITEM, label="x" * 64, unique_name="x" * 64, kind="imported")
    mail = render(*[item] * (MAX_ENTRIES + 1))
    assert len(mail.html.encode()) < 102_000


def test_endless_values_are_shortened() -> None:
    item = replace(
        ITEM, issuer="O=" + "x" * 5000, used_in=tuple(f"api_client: {n}" for n in range(500))
    )
    mail = render(item)
    assert "   Issuer:  O=" + "x" * 197 + "…\n" in mail.text
    for body in (mail.text, visible(mail.html)):
        assert body.count("API client: ") == 20
        assert "and 480 more" in body


def test_the_page_fetches_nothing_and_links_nowhere() -> None:
    html = render(ITEM).html
    assert not re.search(r"https?:|url\(|@import|<(img|link|script|a|iframe|form|input)\b", html)


def test_the_page_is_readable_without_its_style_sheet() -> None:
    html = render(ITEM).html
    assert html.startswith("<!DOCTYPE html><html lang=")
    assert 'style="margin:0;font-size:17px' in html
    assert "@media (prefers-color-scheme: dark)" in html
    assert html.count('role="presentation"') == 3
    assert 'scope="row"' in html
