"""The environment: read once, refused with the name of the variable, never with its value."""

from pathlib import Path

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import InvalidRequestError
from workers.settings import PREFIX, Settings, load_settings

SECRET = "hunter2"  # the last part of every password below, and of nothing else


def refusal(environ: dict[str, str]) -> str:
    """Return the one sentence with which the settings are refused."""
    with pytest.raises(InvalidRequestError) as refused:
        load_settings(environ)
    return str(refused.value)


def test_an_empty_environment_means_the_embedded_default() -> None:
    settings = load_settings({})
    assert settings.embedded_database
    assert (settings.broker_url, settings.smtp_url) == (None, None)
    assert settings == Settings()


def test_every_setting_has_its_variable() -> None:
    given_values = {
        "database_url": "postgres://u@h/d",
        "broker_url": "amqps://u@h/v",
        "smtp_url": "smtps://h",
        "ca_file": certifi.where(),
        "mail_from": "Notices <notices@example.org>",
        "data_dir": "/srv/keywright",
        "root_key": "file:/etc/keywright/root.key",
        "former_root_key": "aws-kms:alias/keywright",
        "lifetime_caps": "refuse",
        "log_level": "warning",
        "log_format": "text",
        "worker_processes": "3",
        "worker_threads": "5",
        "lease_seconds": "12.5",
        "shutdown_grace_seconds": "0",
        "announcement_days": "90",
        "sealing_key_days": "30",
    }
    assert {*given_values, "connections"} == set(Settings.model_fields)
    settings = load_settings({PREFIX + name.upper(): v for name, v in given_values.items()})
    assert settings.lease_seconds == 12.5
    assert settings.data_dir == Path("/srv/keywright")
    assert not settings.embedded_database
    for name in ("database_url", "broker_url", "smtp_url"):
        assert getattr(settings, name).get_secret_value().startswith(given_values[name])


def test_variables_of_others_are_left_alone() -> None:
    assert load_settings({"DATABASE_URL": "mysql://h", "PATH": "/bin"}) == Settings()


def test_an_empty_variable_is_like_none() -> None:
    assert load_settings({"KEYWRIGHT_SMTP_URL": "", "KEYWRIGHT_BROKER_URL_FILE": ""}) == Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KEYWRIGHT_DATABASE_URL", f"mysql://u:{SECRET}@h/d"),
        ("KEYWRIGHT_DATABASE_URL", f"{SECRET}"),
        ("KEYWRIGHT_BROKER_URL", f"http://u:{SECRET}@h/"),
        ("KEYWRIGHT_SMTP_URL", f"mailto:{SECRET}"),
        ("KEYWRIGHT_ROOT_KEY", SECRET),
        ("KEYWRIGHT_ROOT_KEY", f"/{SECRET}"),
        ("KEYWRIGHT_ROOT_KEY", f"gcp-kms:{SECRET}"),
        ("KEYWRIGHT_FORMER_ROOT_KEY", f"FILE:/{SECRET}"),
        ("KEYWRIGHT_CONNECTION_BILLING", f"mysql://u:{SECRET}@h/d"),
        ("KEYWRIGHT_CONNECTION_BILLING", SECRET),
        ("KEYWRIGHT_CONNECTION_BILLING", f"postgresql://u:a@{SECRET}@h/d"),
        ("KEYWRIGHT_CONNECTION_", f"postgresql://u:{SECRET}@h/d"),
        ("KEYWRIGHT_CONNECTION_1ST", f"postgresql://u:{SECRET}@h/d"),
        ("KEYWRIGHT_CONNECTION_A-B", f"postgresql://u:{SECRET}@h/d"),
        (f"KEYWRIGHT_CONNECTION_{'A' * 32}", f"postgresql://u:{SECRET}@h/d"),
        ("KEYWRIGHT_LOG_LEVEL", f"debug{SECRET}"),
        ("KEYWRIGHT_LOG_LEVEL", "debug\n"),
        ("KEYWRIGHT_LOG_FORMAT", "yaml"),
        ("KEYWRIGHT_WORKER_PROCESSES", "0"),
        ("KEYWRIGHT_WORKER_PROCESSES", "two"),
        ("KEYWRIGHT_WORKER_THREADS", "257"),
        ("KEYWRIGHT_WORKER_THREADS", "1.5"),
        ("KEYWRIGHT_LEASE_SECONDS", "0.5"),
        ("KEYWRIGHT_LEASE_SECONDS", "nan"),
        ("KEYWRIGHT_LEASE_SECONDS", "inf"),
        ("KEYWRIGHT_SHUTDOWN_GRACE_SECONDS", "-1"),
    ],
)
def test_what_is_malformed_is_refused_by_name_and_without_its_value(
    variable: str, value: str
) -> None:
    text = refusal({variable: value})
    assert text.startswith(f"{variable}: ")
    assert SECRET not in text
    assert text.endswith(".")
    assert not text.endswith("..")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(f"://u:℀{SECRET}@h/d", id="a sign that a host may not have"),
        pytest.param(f"://[u:{SECRET}@h/d", id="an open bracket"),
        pytest.param(f"://u:a/{SECRET}@h/d", id="a slash in the password"),
        pytest.param(f"://u:a#{SECRET}@h/d", id="a hash sign in the password"),
        pytest.param(f"://u:{SECRET}@h:many/d", id="a port that is no number"),
    ],
)
@pytest.mark.parametrize("variable", ["DATABASE_URL=postgresql", "BROKER_URL=amqp"])
def test_a_url_that_is_not_percent_encoded_is_refused_at_once_and_not_repeated(
    variable: str, url: str
) -> None:
    name, scheme = variable.split("=")
    text = refusal({PREFIX + name: scheme + url})
    assert text.startswith(f"{PREFIX}{name}: ")
    assert SECRET not in text


@pytest.mark.parametrize("sign", ["@", "%"])
def test_a_database_url_that_only_libpq_misreads_is_refused_at_once_too(sign: str) -> None:
    # It takes the first @ for the end of the password, and would look for the rest as a host.
    text = refusal({"KEYWRIGHT_DATABASE_URL": f"postgresql://u:a{sign}{SECRET}@h/d"})
    assert text.startswith("KEYWRIGHT_DATABASE_URL: ")
    assert SECRET not in text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h1:5432,h2:5433/d?target_session_attrs=read-write",
        "postgresql:///d?host=/var/run/postgresql",
        "postgresql://u:p%40%2F%23@[2001:db8::1]:5432/d",
    ],
)
def test_what_libpq_understands_is_taken(url: str) -> None:
    assert not load_settings({"KEYWRIGHT_DATABASE_URL": url}).embedded_database


def test_other_databases_are_known_by_names_in_lower_case(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(f"postgres://u:{SECRET}@localhost/crm\n", encoding="utf-8")
    settings = load_settings(
        {
            "KEYWRIGHT_CONNECTION_BILLING": f"postgresql://u:{SECRET}@localhost/billing",
            "KEYWRIGHT_CONNECTION_Crm_2_FILE": str(file),
            "KEYWRIGHT_CONNECTION_FILE": "postgresql:///file",
            "KEYWRIGHT_CONNECTION_EMPTY": "",
            "KEYWRIGHT_CONNECTIONS": "not a setting",
        }
    )
    urls = {name: url.get_secret_value() for name, url in settings.connections.items()}
    assert urls == {
        "billing": f"postgresql://u:{SECRET}@localhost/billing",
        "crm_2": f"postgres://u:{SECRET}@localhost/crm",
        "file": "postgresql:///file",
    }
    assert SECRET not in repr(settings) + settings.model_dump_json()


def test_a_connection_given_twice_is_refused(tmp_path: Path) -> None:
    url = f"postgresql://u:{SECRET}@h/d"
    text = refusal({"KEYWRIGHT_CONNECTION_A": url, "KEYWRIGHT_CONNECTION_a": url})
    assert text.startswith("KEYWRIGHT_CONNECTION_a: is given twice")
    text = refusal({"KEYWRIGHT_CONNECTION_A": url, "KEYWRIGHT_CONNECTION_A_FILE": str(tmp_path)})
    assert text == "KEYWRIGHT_CONNECTION_A and KEYWRIGHT_CONNECTION_A_FILE are both set; keep one."
    text = refusal({"KEYWRIGHT_CONNECTION_A_FILE": str(tmp_path / "missing")})
    assert text.startswith("KEYWRIGHT_CONNECTION_A_FILE: cannot read")


def test_the_embedded_default_makes_its_own_root_key_in_the_data_folder() -> None:
    settings = load_settings({"KEYWRIGHT_DATA_DIR": "data"})
    assert settings.makes_root_key
    assert settings.effective_root_key == f"file:{Path.cwd()}/data/root.key"


@pytest.mark.parametrize("database", ["", "postgresql://h/d"])
def test_a_root_key_that_is_named_is_taken_and_never_made(database: str) -> None:
    settings = load_settings(
        {"KEYWRIGHT_DATABASE_URL": database, "KEYWRIGHT_ROOT_KEY": "file:/etc/keywright/root.key"}
    )
    assert not settings.makes_root_key
    assert settings.effective_root_key == "file:/etc/keywright/root.key"


def test_a_database_of_ones_own_gets_no_root_key_by_itself() -> None:
    settings = load_settings({"KEYWRIGHT_DATABASE_URL": f"postgresql://u:{SECRET}@h/d"})
    assert not settings.makes_root_key
    with pytest.raises(InvalidRequestError, match="KEYWRIGHT_ROOT_KEY is not set") as refused:
        _ = settings.effective_root_key
    assert SECRET not in str(refused.value)


def test_the_cause_of_a_refusal_holds_no_value_either() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        load_settings({"KEYWRIGHT_DATABASE_URL": f"mysql://u:{SECRET}@h/d"})
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_secrets_have_no_repr() -> None:
    settings = load_settings(
        {
            "KEYWRIGHT_DATABASE_URL": f"postgresql://u:{SECRET}@h/d",
            "KEYWRIGHT_BROKER_URL": f"amqps://u:{SECRET}@h/",
            "KEYWRIGHT_SMTP_URL": f"smtp://u:{SECRET}@h",
        }
    )
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()


def test_a_value_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(f"amqps://u:{SECRET}@h/\n", encoding="utf-8")
    settings = load_settings({"KEYWRIGHT_BROKER_URL_FILE": str(file)})
    assert settings.broker_url is not None
    assert settings.broker_url.get_secret_value() == f"amqps://u:{SECRET}@h/"


def test_a_variable_given_twice_is_refused(tmp_path: Path) -> None:
    text = refusal(
        {"KEYWRIGHT_SMTP_URL": "smtp://h", "KEYWRIGHT_SMTP_URL_FILE": str(tmp_path / "url")}
    )
    assert text == "KEYWRIGHT_SMTP_URL and KEYWRIGHT_SMTP_URL_FILE are both set; keep one."


@pytest.mark.parametrize("content", [None, b"amqp://u:\xff@h/"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "url"
    if content is not None:
        file.write_bytes(content)
    text = refusal({"KEYWRIGHT_BROKER_URL_FILE": str(file)})
    assert text == f"KEYWRIGHT_BROKER_URL_FILE: cannot read {file}."


def test_an_empty_file_is_refused_where_a_value_was_promised(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.touch()
    assert "KEYWRIGHT_BROKER_URL" in refusal({"KEYWRIGHT_BROKER_URL_FILE": str(file)})


@given(name=st.sampled_from(sorted(Settings.model_fields)), value=st.text(min_size=1))
def test_no_value_leads_to_anything_but_settings_or_a_refusal(name: str, value: str) -> None:
    variable = "KEYWRIGHT_CONNECTION_X" if name == "connections" else PREFIX + name.upper()
    refused: list[InvalidRequestError] = []
    try:
        settings = load_settings({variable: value})
    except InvalidRequestError as error:
        refused.append(error)
    else:
        assert Settings.model_validate(settings.model_dump()) == settings
    assert all(str(error).startswith(f"{variable}: ") for error in refused)
