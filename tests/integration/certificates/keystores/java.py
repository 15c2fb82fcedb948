"""The JDKs of this machine: keytool, and one start of Java for many keystores."""

import subprocess
import tempfile
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

JDK_17 = next(Path("/usr/lib/jvm").glob("java-17-openjdk-*/bin")).parent
_SOURCE = Path(__file__).with_name("Keystores.java")
_TYPES = {"jks": "JKS", "jceks": "JCEKS", "pkcs12": "PKCS12"}
# Nothing is run for long enough to be worth compiling well.
_QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")


def all_jdks() -> list[Path]:
    """Return every JDK that is installed, the oldest first; 17 is among them."""
    others = {each.parents[1].resolve() for each in Path("/usr/lib/jvm").glob("*/bin/keytool")}
    return [JDK_17, *sorted(others - {JDK_17.resolve()})]


def keytool(*arguments: str) -> str:
    """Run keytool 17 and return what it prints."""
    options = [f"-J{each}" for each in _QUICK_START]
    done = subprocess.run(
        [JDK_17 / "bin/keytool", *options, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C.UTF-8"},
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True, kw_only=True)
class StoreFile:
    """A keystore, and how Java is to open it."""

    store_format: str
    path: Path
    password: str
    key_password: str | None = None


@dataclass(frozen=True, kw_only=True)
class JavaReading:
    """What Java found: private keys (PKCS #8) and chains by alias, trusted certificates."""

    keys: dict[str, tuple[bytes, tuple[bytes, ...]]]
    trusted: dict[str, bytes]


class Java:
    """Runs ``Keystores.java``."""

    def __init__(self, classes: Path) -> None:
        self._classes = classes

    def read(self, files: Sequence[StoreFile], *, jdk: Path = JDK_17) -> list[JavaReading]:
        """Return what the files hold."""
        commands = [
            f"read\t{_TYPES[each.store_format]}\t{each.path}\t{each.password}"
            f"\t{each.key_password or each.password}"
            for each in files
        ]
        return [_reading(answer) for answer in self._ask(jdk, commands)]

    def connect(self, port: int, files: Sequence[StoreFile]) -> list[list[str]]:
        """Return what the TLS server at ``port`` says, or the error, for each file."""
        commands = [
            f"connect\t{port}\t{_TYPES[each.store_format]}\t{each.path}\t{each.password}"
            for each in files
        ]
        return [answer[0] for answer in self._ask(JDK_17, commands)]

    def _ask(self, jdk: Path, commands: Sequence[str]) -> Iterator[list[list[str]]]:
        done = subprocess.run(
            [jdk / "bin/java", *_QUICK_START, "-cp", self._classes, "Keystores"],
            input="".join(f"{each}\n" for each in commands),
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        answer: list[list[str]] = []
        for line in done.stdout.splitlines():
            if line == "end":
                yield answer
                answer = []
            else:
                answer.append(line.split("\t"))


@contextmanager
def compiled() -> Iterator[Java]:
    """Compile the program with JDK 17."""
    with tempfile.TemporaryDirectory() as classes:
        options = [f"-J{each}" for each in _QUICK_START]
        subprocess.run(
            [JDK_17 / "bin/javac", *options, "-d", classes, _SOURCE], check=True, timeout=120
        )
        yield Java(Path(classes))


def _reading(answer: list[list[str]]) -> JavaReading:
    keys: dict[str, tuple[bytes, tuple[bytes, ...]]] = {}
    trusted: dict[str, bytes] = {}
    for kind, alias, *values in answer:
        assert kind in ("key", "trusted"), answer
        decoded = [b64decode(value) for value in values]
        if kind == "key":
            keys[alias] = (decoded[0], tuple(decoded[1:]))
        else:
            [trusted[alias]] = decoded
    return JavaReading(keys=keys, trusted=trusted)
