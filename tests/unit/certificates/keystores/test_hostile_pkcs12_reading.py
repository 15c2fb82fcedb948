"""PKCS #12 files that are broken or mean harm end in one clear error, soon."""

import random
import time
from pathlib import Path

import pytest

from tests.unit.certificates.certificate_maker import oid, sequence, tlv
from tests.unit.certificates.keystores import pkcs12_maker as maker
from tests.unit.certificates.keystores.material import PASSWORD, key_entry
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.limits import Limits
from workers.certificates.keystores.pkcs12_reading import read_pkcs12

VECTORS = Path(__file__).parents[3] / "vectors/keystores"
ENTRY = key_entry("p256")
SAFES = [
    maker.in_the_clear(maker.key_bag(ENTRY, name="key", key_id=b"1")),
    maker.encrypted(*(maker.certificate_bag(each, key_id=b"1") for each in ENTRY.chain)),
]
TOO_MANY = 5_000_001


def refused(data: bytes, password: str = PASSWORD, **limits: int) -> str:
    """Return the one sentence by which a file is refused, at once."""
    before = time.process_time()
    with pytest.raises(KeystoreError) as caught:
        read_pkcs12(data, store_password=password, limits=Limits(**limits))
    assert time.process_time() - before < 0.5
    said = str(caught.value)
    assert password not in said
    assert said.endswith(".")
    return said


def test_a_wrong_password_and_an_altered_file_are_refused_by_the_mac() -> None:
    data = (VECTORS / "jdk25-multi.p12").read_bytes()
    assert "the password is another, or the file was altered" in refused(data, "wrong-password")
    altered = bytearray(data)
    altered[len(data) // 2] ^= 1
    assert "the password is another, or the file was altered" in refused(
        bytes(altered), "changeit-25"
    )


def test_nothing_is_decrypted_before_the_mac_was_checked() -> None:
    # To decrypt would be refused for another reason.
    safes = [maker.encrypted(maker.key_bag(ENTRY), iterations=TOO_MANY)]
    wrong = maker.mac_of(sequence(*safes), password="another-password")
    assert "the password is another" in refused(maker.file_of(safes, mac=wrong))
    assert "more iterations" in refused(maker.file_of(safes))


@pytest.mark.parametrize("iterations", [TOO_MANY, 2**31, 2**4000])
def test_too_many_iterations_are_refused_before_the_first(iterations: int) -> None:
    mac = maker.mac_of(sequence(*SAFES), iterations=iterations)
    assert "more iterations of its key derivation than the 5,000,000" in refused(
        maker.file_of(SAFES, mac=mac)
    )
    key = maker.key_bag(ENTRY, iterations=iterations)
    assert "more iterations" in refused(maker.file_of([maker.in_the_clear(key)]))


def test_no_iterations_are_refused() -> None:
    mac = maker.mac_of(sequence(*SAFES), iterations=0)
    assert "not above zero" in refused(maker.file_of(SAFES, mac=mac))


def test_many_entries_with_many_iterations_each_are_refused_together() -> None:
    # Each claims as many as it may, and is derived anew: the number of iterations differs.
    keys = [maker.key_bag(ENTRY, iterations=number) for number in range(900, 1000)]
    data = maker.file_of([maker.in_the_clear(*keys)])
    assert "All entries of the keystore together" in refused(data, max_iterations=1000)


def test_a_file_that_anybody_could_have_altered_is_refused() -> None:
    assert "has no MAC" in refused(maker.file_of(SAFES, mac=b""))


def test_what_is_protected_by_other_means_is_refused_by_its_name() -> None:
    signed = maker.content_info("1.2.840.113549.1.7.2", sequence())
    assert "protected by a signature" in refused(sequence(maker.integer(3), signed))
    enveloped = maker.content_info("1.2.840.113549.1.7.3", sequence())
    assert "encrypted to somebody's key" in refused(maker.file_of([enveloped]))
    rc4 = sequence(oid("1.2.840.113549.1.12.1.1"), tlv(5))
    content = sequence(oid(maker.DATA), rc4, tlv(0x80, b"12345678"))
    safe = maker.content_info(maker.ENCRYPTED, sequence(maker.integer(0), content))
    assert "uses the encryption 1.2.840.113549.1.12.1.1, which is not supported" in refused(
        maker.file_of([safe])
    )


def test_bags_within_bags_without_end_are_refused() -> None:
    nested = maker.key_bag(ENTRY)
    for _ in range(50):
        nested = maker.bag(maker.SAFE, sequence(nested))
    assert "nested too deep" in refused(maker.file_of([maker.in_the_clear(nested)]))


def test_a_file_cut_off_anywhere_is_refused() -> None:
    data = maker.file_of(SAFES)
    for end in range(0, len(data), 7):
        refused(data[:end])


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_altered_behind_a_good_mac_ends_in_a_reading_or_in_one_error(
    seed: int,
) -> None:
    chance = random.Random(seed)
    authenticated = sequence(*SAFES)
    for _ in range(400):
        altered = bytearray(authenticated)
        for _ in range(chance.randint(1, 4)):
            altered[chance.randrange(len(altered))] = chance.randrange(256)
        if chance.random() < 0.2:
            del altered[chance.randrange(len(altered)) :]
        content = maker.content_info(maker.DATA, maker.octets(bytes(altered)))
        data = sequence(maker.integer(3), content, maker.mac_of(bytes(altered)))
        before = time.process_time()
        try:
            reading = read_pkcs12(
                data, store_password=PASSWORD, limits=Limits(max_iterations=10_000)
            )
        except KeystoreError as error:
            assert str(error).endswith(".")  # noqa: PT017  # either way is right
        else:
            assert reading.format == "pkcs12"
        assert time.process_time() - before < 0.5
