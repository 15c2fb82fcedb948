"""What keeps us from the message broker, in words, with what to do about it."""

import ssl
from collections.abc import Iterator

from pika.connection import Parameters

from workers.jobs.broker_url import VARIABLE
from workers.tls import distrust_in_words

_CERTIFICATE_WANTED = "certificate required"  # TLS 1.3, RFC 8446 §6.2


def trouble_in_words(parameters: Parameters, error: BaseException | str | None) -> str:
    """Return one sentence about a connection that was not made, without user and password.

    pika wraps what happened in errors of its own, or raises it as it is: both are looked into.
    A text, or None for silence, stands for what is no error.
    """
    place = f"{parameters.host}:{parameters.port}"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"The message broker at {place} {distrust_in_words(cause, VARIABLE)}."
        if _CERTIFICATE_WANTED in str(cause):
            return (
                f"The message broker at {place} wants a certificate of ours; add cert_file and"
                f" key_file to {VARIABLE}."
            )
        if isinstance(cause, ssl.SSLError):
            return (
                f"The message broker at {place} does not speak TLS as we do ({cause.reason}); check"
                f" amqp or amqps and the port in {VARIABLE}."
            )
    what = type(error).__name__ if isinstance(error, BaseException) else error
    return (
        f"No connection to the message broker at {place} ({what or 'it does not answer'});"
        f" check {VARIABLE}."
    )


def _causes(error: object) -> Iterator[BaseException]:
    """Yield an error and what stands behind it, as far as pika tells."""
    waiting = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [getattr(cause, "exception", None), cause.__cause__, cause.__context__]
        waiting += [*getattr(cause, "exceptions", ()), *cause.args]
