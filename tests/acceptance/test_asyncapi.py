"""The AsyncAPI document, as its own parser reads it."""

import json
from pathlib import Path
from typing import Any

import pytest

from docs.generate import FOLDER
from tests.servers.node import node_folder, run_node
from workers.contract import JOB_REQUESTS
from workers.contract.announcements import ANNOUNCEMENTS
from workers.contract.envelope import event_type

PARSE = """
import { readFileSync } from "node:fs";
import asyncapi from "@asyncapi/parser";
const text = readFileSync(process.argv[2], "utf8");
const { document, diagnostics } = await new asyncapi.Parser().parse(text);
console.log(JSON.stringify({
  faults: diagnostics.filter((each) => each.severity < 2).map((each) => each.message),
  version: document?.version(),
  messages: document?.allMessages().all().map((each) => each.name()),
}));
"""


@pytest.fixture
def parse(tmp_path: Path) -> Any:
    """Have a document read by @asyncapi/parser."""
    program = node_folder(tmp_path / "node") / "parse.mjs"
    program.write_text(PARSE, encoding="utf-8")

    def parse(document: Path) -> Any:
        done = run_node(program, str(document))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return parse


def test_the_document_is_valid_and_names_every_request_and_announcement(parse: Any) -> None:
    parsed = parse(FOLDER / "asyncapi.json")
    assert parsed["faults"] == []
    assert parsed["version"] == "3.1.0"
    expected = {event_type(each.kind) for each in JOB_REQUESTS if each.for_requesters}
    expected |= {event_type(each.kind) for each in ANNOUNCEMENTS}
    assert expected - set(parsed["messages"]) == set()
    inner = {event_type(each.kind) for each in JOB_REQUESTS if not each.for_requesters}
    assert inner & set(parsed["messages"]) == set()


def test_the_parser_would_find_a_fault(parse: Any, tmp_path: Path) -> None:
    document = json.loads((FOLDER / "asyncapi.json").read_text(encoding="utf-8"))
    document["operations"]["takeRequest"]["action"] = "swallow"
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(document), encoding="utf-8")
    assert parse(wrong)["faults"] != []
