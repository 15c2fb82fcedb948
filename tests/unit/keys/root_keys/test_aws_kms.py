"""How a key of AWS KMS is named; what is not a safe and whole name is refused."""

import pytest

from workers.errors import InvalidRequestError
from workers.keys.root_keys.aws_kms import AwsKmsRootKey, KmsPlace, parse_place

ARN = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (ARN, KmsPlace(key=ARN, region="eu-central-1")),
        (f"{ARN}?region=eu-central-1", KmsPlace(key=ARN, region="eu-central-1")),
        ("alias/keywright", KmsPlace(key="alias/keywright")),
        ("alias/k?region=us-east-1", KmsPlace(key="alias/k", region="us-east-1")),
        (
            "alias/k?region=us-east-1&endpoint=https://kms.example.org",
            KmsPlace(key="alias/k", region="us-east-1", endpoint="https://kms.example.org"),
        ),
        (
            "alias/k?endpoint=http%3A%2F%2F127.0.0.1%3A5000",
            KmsPlace(key="alias/k", endpoint="http://127.0.0.1:5000"),
        ),
    ],
)
def test_a_key_is_named_by_its_arn_or_an_alias(text: str, place: KmsPlace) -> None:
    assert parse_place(text, variable="V") == place


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws-cn:kms:cn-north-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef12345678990ab",
        "arn:aws:kms:eu-central-1:123456789012:alias/keywright",
    ],
)
def test_other_partitions_and_aliases_have_arns_too(arn: str) -> None:
    assert parse_place(arn, variable="V").key == arn


def test_an_arn_is_its_identifier_without_asking_anybody() -> None:
    assert AwsKmsRootKey(parse_place(ARN, variable="V")).identifier == f"aws-kms:{ARN}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?region=us-east-1",
        "keywright",
        "alias/",
        "alias/a b",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:s3:::bucket",
        "arn:aws:kms:eu-central-1:123:key/x",
        "arn:aws:kms::123456789012:key/x",
        f"{ARN}\n",
        "alias/k?region",
        "alias/k?region=",
        "alias/k?region=a&region=b",
        "alias/k?region=eu_central",
        "alias/k?profile=other",
        "alias/k?region=a&",
        f"{ARN}?region=us-east-1",
        "alias/k?endpoint=kms.example.org",
        "alias/k?endpoint=http://kms.example.org",
        "alias/k?endpoint=http://127.0.0.1.example.org",
        "alias/k?endpoint=http://127.0.0.1@example.org",
        "alias/k?endpoint=https://",
        "alias/k?endpoint=https://[",
        "alias/k?endpoint=ftp://127.0.0.1",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^KEYWRIGHT_ROOT_KEY: "):
        parse_place(text, variable="KEYWRIGHT_ROOT_KEY")
