"""Rule 66: switched, tried, and done; as often as one likes."""

import pytest

from workers.certificates.saml.checking import CheckState, after_completing, after_trying
from workers.errors import ConflictError

DEFAULT, SWITCHED, WORKS, NEEDED, DONE = CheckState


@pytest.mark.parametrize(
    ("state", "worked", "failed"),
    [
        (SWITCHED, WORKS, NEEDED),
        (WORKS, WORKS, NEEDED),
        (NEEDED, WORKS, NEEDED),
        (DONE, DONE, NEEDED),
    ],
)
def test_rule_66_only_what_fails_needs_the_identity_provider(
    state: CheckState, worked: CheckState, failed: CheckState
) -> None:
    assert after_trying(state, works=True) is worked
    assert after_trying(state, works=False) is failed


def test_rule_66_what_is_not_switched_is_not_tried() -> None:
    with pytest.raises(ConflictError, match="switch it first"):
        after_trying(DEFAULT, works=True)


@pytest.mark.parametrize("state", [WORKS, NEEDED, DONE])
def test_rule_66_what_was_tried_is_done(state: CheckState) -> None:
    assert after_completing(state) is DONE


@pytest.mark.parametrize("state", [DEFAULT, SWITCHED])
def test_rule_66_what_was_not_tried_is_not_done(state: CheckState) -> None:
    with pytest.raises(ConflictError, match="has not been tried"):
        after_completing(state)
