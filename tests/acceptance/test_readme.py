"""What the README tells a newcomer to type works: every ``sh`` block is run, in its order."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.waiting import until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

NOT_RUN = {
    # No container engine can be assumed; tests/unit/test_deployment.py looks into the file.
    "docker compose up --detach --build",
    "docker compose run --rm operator keywright status",
}
WITH_HELP_INSTEAD = {
    # Minutes each. That the module can be started and knows the option is what is asked here.
    "python -m benchmarks.jobs --json",
    "python -m benchmarks.expiry_scan --json",
    "python -m benchmarks.delivery --json",
    "python -m benchmarks.reencryption --json",
    "python -m benchmarks.key_generation --json",
    "python -m benchmarks.keystores --json",
    "python -m benchmarks.fairness --json",
}
RECIPE_ONLY = {
    # These run the tests; this is one of them.
    "make test",
    "make check",
}


def commands() -> list[str]:
    """Return every line of the README's ``sh`` blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Keep what the commands make in a scratch folder, and find them where the tests run."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("KEYWRIGHT_")}
    programs = Path(sys.executable).parent
    return usual | {
        "KEYWRIGHT_DATA_DIR": str(tmp_path / "data"),
        "PATH": f"{programs}{os.pathsep}{usual['PATH']}",
    }


@pytest.mark.timeout(120)
def test_every_command_of_the_readme_works_in_its_order(
    environment: dict[str, str], tmp_path: Path
) -> None:
    ran = []
    for command in commands():
        if command in NOT_RUN:
            continue
        if command == "keywright up":
            run_up(environment, tmp_path / "up.log")
        else:
            for line in what_to_run(command, tmp_path):
                run(line, environment)
        ran.append(command)
    assert "make run" in ran
    assert "keywright up" in ran


def test_every_exception_is_still_in_the_readme() -> None:
    assert set(commands()) >= NOT_RUN | WITH_HELP_INSTEAD | RECIPE_ONLY


def what_to_run(command: str, scratch: Path) -> list[str]:
    """Return what is run for a line of the README: itself, unless it would install or overwrite."""
    if command in RECIPE_ONLY:
        return [command.replace("make", "make --dry-run")]
    if command == "make run":
        # The recipe without the installation, which has happened: the tests are running.
        recipe = re.search(
            r"^run:.*\n\t@\$\(BIN\)/(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE
        )
        assert recipe is not None
        return ["make --dry-run run", recipe[1]]
    if command in WITH_HELP_INSTEAD:
        return [f"{command} --help"]
    if command.startswith("python3 deploy/"):
        return [f"{command} {shlex.quote(str(scratch / 'secrets'))}"]
    return [command.replace(".venv/", f"{shlex.quote(sys.prefix)}/")]


def run(line: str, environment: dict[str, str]) -> str:
    """Run a line in the checkout, as a shell would; it must succeed."""
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_up(environment: dict[str, str], log: Path) -> None:
    """Start ``keywright up``, look at it from beside, and stop it as a service manager would."""
    with (
        log.open("w") as output,
        subprocess.Popen(
            ["keywright", "up"], cwd=ROOT, env=environment, stdout=output, stderr=output
        ) as up,
    ):
        try:
            until(lambda: "keywright is up." in log.read_text(), "the banner of `keywright up`")
            assert "all is well" in run("keywright status", environment)
            assert up.poll() is None
        finally:
            up.send_signal(signal.SIGTERM)
            code = up.wait(timeout=60)
    assert code == 0, log.read_text()
    assert "keywright has stopped." in log.read_text()
