"""``python -m benchmarks.keystores``: keystores of 50 keys, and of 10,000 trusted certificates.

All through ``write_keystore``, ``write_truststore`` and ``read_keystore``, which reads in a child
process; beside them pyjks alone. What it takes to decrypt private keys and to test each once, as
``cryptography`` does at its first load (33 to 75 ms for an RSA key), is measured apart, in the same
rounds, and taken off; the whole is printed, too.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeAlias

from cryptography.hazmat.primitives.serialization import load_der_private_key
from jks import KeyStore, PrivateKeyEntry, TrustedCertEntry
from jks.sun_crypto import jks_pkey_decrypt, jks_pkey_encrypt

from benchmarks.keystore_entries import make_keys, make_trusted
from workers.certificates.keystores.encryption import PasswordEncryption
from workers.certificates.keystores.entries import KeyEntry, KeystoreReading, TrustedEntry
from workers.certificates.keystores.password_encryption import PasswordDecryption
from workers.certificates.keystores.reading import read_keystore
from workers.certificates.keystores.writing import write_keystore, write_truststore
from workers.certificates.reading.der import read_element

PASSWORD = "correct-horse-battery-staple"
StoreFormat: TypeAlias = Literal["jks", "pkcs12"]
FORMATS: tuple[StoreFormat, ...] = ("jks", "pkcs12")
Figures: TypeAlias = dict[str, dict[str, float]]
_MAX_ITERATIONS = 5_000_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=50)
    parser.add_argument("--trusted", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    p256 = measure_keys(make_keys("p256", options.keys), options.rounds)
    rsa = measure_keys(make_keys("rsa2048", options.keys), options.rounds)
    trusted = measure_trusted(make_trusted(options.trusted), options.rounds)
    figures: dict[str, Any] = {
        "keys": options.keys,
        "trusted": options.trusted,
        # Each the slower of JKS and PKCS #12; to write is all of it, encryption of keys included.
        "export_50_keys_ms": max(
            figure[each]["export"] for figure in (p256, rsa) for each in FORMATS
        ),
        "import_50_keys_ms": max(
            figure[each]["import_beyond_keys"] for figure in (p256, rsa) for each in FORMATS
        ),
        "import_50_keys_with_decryption_ms": max(p256[each]["import"] for each in FORMATS),
        "import_50_rsa_keys_with_decryption_and_prime_tests_ms": max(
            rsa[each]["import"] for each in FORMATS
        ),
        "export_10000_trusted_s": max(trusted[each]["export"] for each in FORMATS),
        "import_10000_trusted_s": max(trusted[each]["import"] for each in FORMATS),
        "keys_ratio_to_pyjks": round(rsa["jks"]["export"] / rsa["pyjks"]["export"], 3),
        "trusted_ratio_to_pyjks": round(trusted["jks"]["export"] / trusted["pyjks"]["export"], 4),
        "p256_ms": p256,
        "rsa2048_ms": rsa,
        "trusted_s": trusted,
    }
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for key, value in figures.items():
            print(f"{key:54} {value}")


def measure_keys(entries: list[KeyEntry], rounds: int) -> Figures:
    """Write and read these keys in each format; in milliseconds."""
    figures: Figures = {}
    for kind in FORMATS:
        content = write_keystore(kind, keys=entries, password=PASSWORD)
        # The first reading starts the child process, which then stays.
        assert len(read(content).keys) == len(entries)
        encrypt, decrypt = _of_keys_alone(kind, entries)
        reading, opening, beyond = _ms_by_turns(partial(read, content), decrypt, rounds)
        figures[kind] = {
            "export": _ms(partial(write_keystore, kind, keys=entries, password=PASSWORD), rounds),
            "key_encryption_alone": _ms(encrypt, rounds),
            "import": reading,
            "keys_alone": opening,
            "import_beyond_keys": beyond,
        }
    figures["pyjks"] = {"export": _ms(partial(_write_by_pyjks, entries), rounds)}
    tests = partial(_map, lambda key: _test(key.private_key), entries)
    figures["key_tests"] = {"alone": _ms(tests, rounds)}
    return figures


def measure_trusted(entries: list[TrustedEntry], rounds: int) -> Figures:
    """Write and read a truststore in each format; in seconds."""
    figures: Figures = {}
    for kind in FORMATS:
        content = write_truststore(kind, entries, password=PASSWORD)
        assert len(read(content).trusted) == len(entries)
        figures[kind] = {
            "export": _s(partial(write_truststore, kind, entries, password=PASSWORD), rounds),
            "import": _s(partial(read, content), rounds),
        }
    theirs = [TrustedCertEntry.new(each.alias, each.certificate) for each in entries]
    figures["pyjks"] = {"export": _s(partial(_save_by_pyjks, theirs), 1)}
    return figures


def read(content: bytes) -> KeystoreReading:
    """Read through the door."""
    reading = read_keystore(content, store_password=PASSWORD)
    assert reading.faults == ()
    return reading


def _of_keys_alone(
    kind: StoreFormat, entries: list[KeyEntry]
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return what encrypts the keys, and what decrypts and tests them, and does nothing else."""
    keys = [each.private_key for each in entries]
    if kind == "jks":
        sealed = [jks_pkey_encrypt(key, PASSWORD) for key in keys]
        return (
            partial(_map, lambda key: jks_pkey_encrypt(key, PASSWORD), keys),
            partial(_map, lambda key: _test(jks_pkey_decrypt(key, PASSWORD)), sealed),
        )
    encryption = PasswordEncryption(PASSWORD)
    parts = [
        (read_element(algorithm), ciphertext)
        for algorithm, ciphertext in map(encryption.encrypt, keys)
    ]

    def encrypt() -> None:
        fresh = PasswordEncryption(PASSWORD)
        _map(fresh.encrypt, keys)

    def decrypt() -> None:
        decryption = PasswordDecryption(_MAX_ITERATIONS)
        for algorithm, ciphertext in parts:
            _test(decryption.decrypt(algorithm, ciphertext, PASSWORD))

    return encrypt, decrypt


def _test(key: bytes) -> None:
    load_der_private_key(key, None)


def _write_by_pyjks(entries: list[KeyEntry]) -> bytes:
    keys = [PrivateKeyEntry.new(each.alias, each.chain, each.private_key) for each in entries]
    return _save_by_pyjks(keys)


def _save_by_pyjks(entries: list[Any]) -> bytes:
    content: bytes = KeyStore.new("jks", entries).saves(PASSWORD)
    return content


def _map(do: Callable[[Any], object], values: list[Any]) -> None:
    for each in values:
        do(each)


def _ms(do: Callable[[], object], rounds: int) -> float:
    return round(_median(do, rounds) * 1000, 1)


def _ms_by_turns(
    whole: Callable[[], object], part: Callable[[], object], rounds: int
) -> tuple[float, float, float]:
    """Measure both in the same rounds; return either, and what the whole takes beyond the part."""
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        whole()
        middle = time.perf_counter()
        part()
        end = time.perf_counter()
        seconds.append((middle - begin, end - middle, (middle - begin) - (end - middle)))
    first, second, beyond = (
        round(statistics.median(each) * 1000, 1) for each in zip(*seconds, strict=True)
    )
    return first, second, beyond


def _s(do: Callable[[], object], rounds: int) -> float:
    return round(_median(do, rounds), 3)


def _median(do: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        before = time.perf_counter()
        do()
        seconds.append(time.perf_counter() - before)
        if seconds[0] > 1:  # slow enough to be told from noise
            break
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
