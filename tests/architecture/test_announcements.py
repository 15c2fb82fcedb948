"""Every announcement that is made anywhere stands in the catalogue."""

import re
from pathlib import Path

import pytest

from tests.architecture.test_layout import CODE, ROOT, modules
from workers.contract import announcements
from workers.contract.announcements import ANNOUNCEMENTS, BY_KIND, Happened

every_kind = pytest.mark.parametrize("told", ANNOUNCEMENTS, ids=lambda each: each.kind)

_INSERT = re.compile(r"INSERT INTO keywright\.announcement .*?(?:;|\"\"\")", re.DOTALL)
_KIND = re.compile(r"'([a-z][a-z_]*\.[a-z][a-z_]*)'")


def models(parent: type[Happened] = Happened) -> set[type[Happened]]:
    """Return every model that has a kind of its own."""
    found = {
        each
        for each in parent.__subclasses__()
        if "of_kind" in vars(each) and each.__module__.startswith("workers.")
    }
    return found.union(*(models(each) for each in parent.__subclasses__()))


def test_the_catalogue_names_every_model_once() -> None:
    assert {each.data for each in ANNOUNCEMENTS} == models()
    assert len(BY_KIND) == len(ANNOUNCEMENTS)


def test_what_plain_sql_announces_is_in_the_catalogue() -> None:
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in modules(*CODE)}
    texts[Path("schema.sql")] = (ROOT / "schema.sql").read_text(encoding="utf-8")
    kinds = {
        kind
        for text in texts.values()
        for insert in _INSERT.findall(text)
        for kind in _KIND.findall(insert)
    }
    assert {"job.failed", "notice.delivered", "certificate.expiring"} <= kinds
    assert kinds - set(BY_KIND) == set()


@every_kind
def test_a_kind_is_past_tense_named_explained_and_exported(
    told: announcements.Announcement,
) -> None:
    assert re.fullmatch(r"[a-z][a-z_]*\.[a-z][a-z_]*", told.kind)
    assert told.meaning.endswith(".")
    assert re.fullmatch(r"[a-z-]+(/[0-9a-f-]+)+", told.subject)
    assert told.data.__name__ in announcements.__all__


@every_kind
def test_its_data_has_a_schema_that_says_what_is_there(told: announcements.Announcement) -> None:
    schema = told.data.model_json_schema(mode="serialization")
    assert schema["type"] == "object"
    assert set(schema["required"]) == set(schema["properties"])
