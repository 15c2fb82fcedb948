"""The tree of commands."""

from pathlib import Path

import pytest
import typer

from workers.cli.app import MODULES, command_line

CLI = Path(__file__).parents[3] / "workers" / "cli"


def first_words(app: typer.Typer) -> set[str]:
    commands = {str(command.name) for command in app.registered_commands}
    return commands | {str(group.name) for group in app.registered_groups}


@pytest.mark.parametrize("word", MODULES)
def test_a_command_is_found_in_its_module_alone(word: str) -> None:
    assert word in first_words(command_line([word]))


def test_every_word_is_listed_and_every_listed_word_is_there() -> None:
    assert first_words(command_line()) == set(MODULES)


def test_an_unknown_word_meets_all_commands_so_that_the_right_one_can_be_suggested() -> None:
    assert first_words(command_line(["certificates"])) == set(MODULES)


def test_options_before_the_command_do_not_hide_it() -> None:
    assert first_words(command_line(["--verbose", "status"])) == {"status"}


def test_no_module_with_commands_is_forgotten() -> None:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in CLI.glob("*.py")}
    registering = {
        name for name, text in texts.items() if "\ndef register(app: typer.Typer)" in text
    }
    in_groups = {
        name for name in registering if any(f" {name}.register(" in text for text in texts.values())
    }
    assert registering - in_groups == set(MODULES.values())
