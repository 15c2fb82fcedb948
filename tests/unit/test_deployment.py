"""The deployment files keep what they promise; no container engine is needed to see that."""

import json
import re
import subprocess
import sys
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pytest
from ruamel.yaml import YAML

from workers.jobs.broker_users import KEYWRIGHT
from workers.notifications.mail_server import SmtpServer
from workers.settings import PREFIX, Settings, load_settings

ROOT = Path(__file__).parents[2]
COMPOSE = YAML(typ="safe").load(ROOT / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}

every_service = pytest.mark.parametrize("name", SERVICES)
every_service_of_ours = pytest.mark.parametrize("name", OURS)


def is_by_hand(name: str) -> bool:
    """Tell whether the service runs only when somebody calls it."""
    return "profiles" in SERVICES[name]


def is_one_shot(name: str) -> bool:
    """Tell whether the service ends: somebody calls it, or others wait for it to end well."""
    return is_by_hand(name) or any(
        service.get("depends_on", {}).get(name, {}).get("condition")
        == "service_completed_successfully"
        for service in SERVICES.values()
    )


def environment(name: str) -> dict[str, str]:
    """Return the service's environment, with the defaults of what the operator may override."""
    return {
        variable: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", str(value))
        for variable, value in SERVICES[name].get("environment", {}).items()
    }


def secrets_of(name: str) -> dict[str, str]:
    """Return the secrets that the service is given, by the names of the files it finds."""
    given = SERVICES[name].get("secrets", [])
    named = [{"source": each} if isinstance(each, str) else each for each in given]
    return {each.get("target", each["source"]): each["source"] for each in named}


def url_of(folder: Path, name: str, file: str) -> SplitResult:
    """Return the URL that the service reads from a file under /run/secrets."""
    return urlsplit((folder / secrets_of(name)[file]).read_text())


def seconds(duration: str) -> int:
    """Read a duration such as 45s."""
    assert duration.endswith("s")
    return int(duration[:-1])


def make_secrets(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the operator's script."""
    script = ROOT / "deploy" / "make_secrets.py"
    return subprocess.run(
        [sys.executable, script, folder], check=False, capture_output=True, text=True
    )


def test_compose_file_satisfies_the_compose_schema() -> None:
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml"),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_the_system_has_all_its_parts() -> None:
    assert SERVICES.keys() >= {"postgres", "rabbitmq", "mailpit", "schema", "scheduler", "workers"}
    assert "version" not in COMPOSE


@every_service
def test_every_service_has_a_health_check_or_is_waited_for_to_end(name: str) -> None:
    service = SERVICES[name]
    assert ("healthcheck" in service) != is_one_shot(name)
    assert service["restart"] == ("no" if is_one_shot(name) else "unless-stopped")


@every_service
def test_every_service_runs_unprivileged_on_a_read_only_file_system(name: str) -> None:
    service = SERVICES[name]
    assert str(service["user"]).partition(":")[0] not in {"", "0", "root"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "cap_add" not in service
    assert not service.get("privileged", False)


@every_service
def test_no_port_is_open_beyond_loopback(name: str) -> None:
    assert "network_mode" not in SERVICES[name]
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


@every_service
def test_foreign_images_are_pinned_to_a_version(name: str) -> None:
    if name not in OURS:
        assert re.fullmatch(r"[a-z/]+:v?\d[\w.-]*", SERVICES[name]["image"])


@every_service
def test_passwords_come_from_files_alone(name: str) -> None:
    for variable, value in environment(name).items():
        if re.search("PASS|SECRET|TOKEN|URL|ROOT_KEY", variable):
            # A root key is named by where it is; everything else by the file that holds it.
            assert variable.endswith("_FILE") or value.startswith("file:")
            path = Path(value.removeprefix("file:"))
            assert path.parent == Path("/run/secrets")
            assert path.name in secrets_of(name)
        assert "://" not in value
    assert {*secrets_of(name).values()} <= COMPOSE["secrets"].keys()


@every_service
def test_who_depends_on_a_server_waits_until_it_is_healthy(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if is_one_shot(other) else "service_healthy"
        assert how["condition"] == expected


@every_service
def test_mounted_files_exist(name: str) -> None:
    for config in SERVICES[name].get("configs", []):
        assert (ROOT / COMPOSE["configs"][config["source"]]["file"]).is_file()


@every_service_of_ours
def test_every_variable_of_ours_is_one_that_keywright_reads(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = environment(name)
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    assert {variable.removesuffix("_FILE") for variable in given} <= known

    monkeypatch.chdir(tmp_path)
    make_secrets(tmp_path / "secrets")
    run = tmp_path / "run"
    run.mkdir()
    for target, source in secrets_of(name).items():
        (run / target).symlink_to(tmp_path / "secrets" / source)
    here = {k: v.replace("/run/secrets", str(run)) for k, v in given.items()}
    settings = load_settings(here)
    assert not settings.embedded_database
    if settings.smtp_url is not None:
        SmtpServer.from_url(settings.smtp_url.get_secret_value())


@every_service_of_ours
def test_commands_are_ours(name: str) -> None:
    assert SERVICES[name]["command"][0] == "keywright"
    assert SERVICES[name]["user"] == "10001:10001"


def test_workers_are_not_killed_within_the_grace_of_their_jobs() -> None:
    settings = load_settings(
        {k: v for k, v in environment("workers").items() if not k.endswith("_FILE")}
    )
    allowed = seconds(SERVICES["workers"]["stop_grace_period"])
    assert allowed >= settings.shutdown_grace_seconds + 10


def test_only_workers_know_the_mail_server() -> None:
    assert {name for name in SERVICES if "smtp_url" in secrets_of(name)} == {"workers"}


def test_only_workers_can_decrypt_and_only_the_schema_is_made_by_the_owner() -> None:
    running = [name for name in SERVICES if not is_by_hand(name)]
    assert [name for name in running if "root_key" in secrets_of(name)] == ["workers"]
    assert [name for name in running if "database_owner_url" in secrets_of(name).values()] == [
        "schema"
    ]


@pytest.mark.parametrize("file", ["database_url", "broker_url"])
def test_no_two_services_log_in_as_the_same(file: str, tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets")
    urls = [
        url_of(tmp_path / "secrets", name, file)
        for name in OURS
        if file in secrets_of(name) and not is_by_hand(name)
    ]
    assert len(urls) >= 2
    assert len({url.username for url in urls}) == len({url.password for url in urls}) == len(urls)


def test_secrets_are_made_for_every_place_that_names_one(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    done = make_secrets(folder)
    assert done.returncode == 0, done.stderr
    named = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert {path.name for path in folder.iterdir()} == named | {"rabbitmq_operator_password"}
    assert folder.stat().st_mode & 0o777 == 0o700
    # Each container reads them as its own user; the folder keeps everybody else out.
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}
    assert [path.name for path in tmp_path.iterdir()] == ["secrets"]


def test_secrets_are_never_made_twice(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    again = make_secrets(folder)
    assert again.returncode == 1
    assert again.stderr.count("\n") == 1
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def test_the_broker_knows_the_passwords_that_are_used(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    definitions = json.loads((folder / "rabbitmq_definitions.json").read_text())
    users = {user["name"]: user for user in definitions["users"]}
    assert users.keys() == {each.user for each in KEYWRIGHT}
    for name in ("scheduler", "workers"):
        url = url_of(folder, name, "broker_url")
        assert users[url.username]["tags"] == []
        salted = b64decode(users[url.username]["password_hash"])
        assert url.password is not None
        assert salted[4:] == sha256(salted[:4] + url.password.encode()).digest()
        assert [vhost["name"] for vhost in definitions["vhosts"]] == [url.path.removeprefix("/")]


def test_the_database_knows_the_passwords_that_are_used(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    statements = (ROOT / "deploy" / "create-database.sql").read_text()
    for name in ("schema", "scheduler", "workers"):
        url = url_of(folder, name, "database_url")
        source = secrets_of(name)["database_url"].replace("_url", "_password")
        assert url.password == (folder / source).read_text()
        assert source in secrets_of("postgres")
        variable = source.removeprefix("database_")
        assert f"\\set {variable} `cat /run/secrets/{source}`" in statements
        assert f"CREATE ROLE {url.username} LOGIN PASSWORD :'{variable}'" in statements
    owner = url_of(folder, "schema", "database_url")
    assert f"CREATE DATABASE {owner.path.removeprefix('/')} OWNER {owner.username}" in statements


def test_the_script_needs_nothing_but_python(tmp_path: Path) -> None:
    script = ROOT / "deploy" / "make_secrets.py"
    # -S: no packages but the standard library.
    done = subprocess.run(
        [sys.executable, "-I", "-S", script, tmp_path / "secrets"], check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_image_runs_as_a_numeric_user_from_the_hashed_lock() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    *_, runtime = re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)
    users = re.findall(r"^USER (\d+):(\d+)$", runtime, flags=re.MULTILINE)
    assert users == [("10001", "10001")]
    assert "--require-hashes --no-deps -r requirements.txt" in dockerfile
    assert ":latest" not in dockerfile


def test_builder_gets_what_it_copies_and_nothing_else() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, flags=re.MULTILINE)
        for source in line.split()
    }
    first, *rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert first == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    for source in copied:
        assert (ROOT / source).exists(), f"COPY {source}: there is no such file"
