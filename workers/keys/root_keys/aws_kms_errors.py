"""What AWS KMS and its SDK say when they refuse, in keywright's words."""

from http import HTTPStatus

from workers.errors import InvalidRequestError, KeywrightError
from workers.keys.root_keys import envelope
from workers.keys.root_keys.root_key import RootKeyUnavailableError

_DAMAGED = {"InvalidCiphertextException", "IncorrectKeyException"}
_NOT_ALLOWED = {"AccessDeniedException", "AccessDenied", "NotAuthorized", "OptInRequired"}
_NO_SUCH_KEY = {"NotFoundException", "InvalidArnException", "InvalidAliasNameException"}
_OF_ANOTHER_KIND = {"InvalidKeyUsageException", "UnsupportedOperationException"}
_BAD_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_SWITCHED_OFF = {
    "DisabledException",
    "KMSInvalidStateException",
    "KeyUnavailableException",
    "CloudHsmClusterInvalidConfigurationException",
}
_BUSY = {
    "LimitExceededException",
    "RequestLimitExceeded",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}


def translate(error: Exception, *, key: str, variable: str) -> KeywrightError:
    """Return what to raise for an error of botocore; ``key`` names the key, by ARN or alias."""
    from botocore.exceptions import ClientError  # noqa: PLC0415  # an extra

    if isinstance(error, ClientError):
        answer = error.response
        code = str(answer.get("Error", {}).get("Code", "unknown"))
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _of_kms(code, status, key, variable)
    return _of_sdk(error, key, variable)


def _of_kms(code: str, status: int, key: str, variable: str) -> KeywrightError:
    if code in _DAMAGED:
        return envelope.does_not_open(f"aws-kms:{key}")
    if code in _NO_SUCH_KEY:
        return InvalidRequestError(
            f"{variable}: AWS KMS has no key {key} in that account and region; correct it."
        )
    if code in _OF_ANOTHER_KIND:
        return InvalidRequestError(
            f"{variable}: {key} is no symmetric key for encryption; make one with"
            " `aws kms create-key`, and name it."
        )
    if code in _NOT_ALLOWED:
        return RootKeyUnavailableError(
            f"AWS KMS does not allow us to use {key}; grant kms:Encrypt, kms:Decrypt and"
            " kms:DescribeKey on it to the credentials that keywright runs with."
        )
    if code in _BAD_CREDENTIALS:
        return RootKeyUnavailableError(
            f"AWS KMS refuses our credentials ({code}); renew them, or correct the clock."
        )
    if code in _SWITCHED_OFF:
        return RootKeyUnavailableError(
            f"The key {key} is disabled, pending deletion or out of reach of AWS KMS ({code});"
            " cancel its deletion and enable it."
        )
    if code in _BUSY or status == HTTPStatus.TOO_MANY_REQUESTS:
        return RootKeyUnavailableError(
            f"AWS KMS has too many requests ({code}); it is tried again."
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return RootKeyUnavailableError(f"AWS KMS has trouble of its own ({code}).")
    return RootKeyUnavailableError(
        f"AWS KMS refuses to use {key} ({code}); see the AWS CloudTrail record of the request."
    )


def _of_sdk(error: Exception, key: str, variable: str) -> KeywrightError:
    from botocore import exceptions  # noqa: PLC0415  # an extra

    no_credentials = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
        exceptions.ConfigNotFound,
        exceptions.ProfileNotFound,
        exceptions.SSOError,
    )
    if isinstance(error, no_credentials):
        return RootKeyUnavailableError(
            f"No AWS credentials are found ({type(error).__name__}); give the process a role, or"
            " set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
        )
    if isinstance(error, exceptions.NoRegionError):
        return InvalidRequestError(
            f"{variable}: the region of {key} is not known; add ?region=… to it."
        )
    return RootKeyUnavailableError(
        f"AWS KMS cannot be reached ({type(error).__name__}); it is tried again."
    )
