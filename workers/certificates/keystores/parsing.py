"""From a keystore's bytes to its checked entries; runs in the child process of ``reading``."""

from workers.certificates.keystores.checking import check_entries
from workers.certificates.keystores.entries import KeystoreReading
from workers.certificates.keystores.java_reading import read_java_keystore
from workers.certificates.keystores.limits import Limits
from workers.certificates.keystores.pem_reading import read_pem_keystore
from workers.certificates.keystores.pkcs12_reading import read_pkcs12
from workers.certificates.keystores.sniffing import sniff_format


def parse_keystore(
    data: bytes, *, store_password: str, key_password: str | None, limits: Limits
) -> KeystoreReading:
    """Read a keystore of whatever format.

    Raises:
        KeystoreError: it cannot be read as a whole.
    """
    kind = sniff_format(data)
    if kind == "pem":
        reading = read_pem_keystore(
            data, store_password=store_password, key_password=key_password, limits=limits
        )
    elif kind == "pkcs12":
        reading = read_pkcs12(
            data, store_password=store_password, key_password=key_password, limits=limits
        )
    else:
        reading = read_java_keystore(
            data,
            store_format=kind,
            store_password=store_password,
            key_password=key_password,
            limits=limits,
        )
    return check_entries(reading, limits)
