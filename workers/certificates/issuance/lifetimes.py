"""How long certificates last: the model's years, and the caps of the CA/Browser Forum. Pure."""

from datetime import UTC, date, datetime, timedelta

from workers.contract.certificates import LifetimeCaps
from workers.errors import InvalidRequestError

# Ballot SC-081v3, and what was allowed before: the day the certificate was made decides (rule 18).
_CAPS = ((date(2029, 3, 15), 47), (date(2027, 3, 15), 100), (date(2026, 3, 15), 200))
_CAP_BEFORE = 398


class LifetimeError(InvalidRequestError):
    """A TLS server's certificate would last longer than public CAs may issue them."""

    code = "lifetime-cap"
    title = "The certificate would last too long"


def years_later(moment: datetime, years: int) -> datetime:
    """Return the same time of the same day so many years later; of 29 February, 28 February."""
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        return moment.replace(year=moment.year + years, day=28)


def cap_days(not_before: datetime) -> int:
    """Return how many days a TLS server's certificate may last that begins then (rule 18)."""
    made_on = not_before.astimezone(UTC).date()
    return next((days for since, days in _CAPS if made_on >= since), _CAP_BEFORE)


def exceeded_cap(not_before: datetime, not_after: datetime) -> str | None:
    """Say by how much a lifetime exceeds the cap; None where it does not.

    The days between both dates count, as in the model's examples; a CA counts the last second, too.
    """
    allowed = cap_days(not_before)
    if not_after - not_before <= timedelta(days=allowed):
        return None
    days = -(-(not_after - not_before) // timedelta(days=1))  # a day begun counts
    return (
        f"it lasts {days} days, and the CA/Browser Forum allows a TLS server's certificate made on"
        f" {not_before.astimezone(UTC):%Y-%m-%d} no more than {allowed}"
    )


def check_cap(
    not_before: datetime, not_after: datetime, *, caps: LifetimeCaps, how_to_fix: str
) -> str | None:
    """Return a warning about a lifetime beyond the cap, if there is anything to say.

    Raises:
        LifetimeError: ``caps`` has it refused; ``how_to_fix`` ends the sentence.
    """
    exceeded = None if caps == "ignore" else exceeded_cap(not_before, not_after)
    if exceeded is None:
        return None
    if caps == "refuse":
        raise LifetimeError(f"validity_days: {exceeded}; {how_to_fix}.")
    return exceeded[0].upper() + exceeded[1:] + "."
