"""How a configuration comes from the retired default certificate to done: rule 66. Pure."""

from enum import StrEnum

from workers.errors import ConflictError


class CheckState(StrEnum):
    """How far a configuration has come."""

    USES_DEFAULT = "uses_default"
    SWITCHED = "switched"
    WORKS = "works"
    IDP_UPDATE_NEEDED = "idp_update_needed"
    DONE = "done"


def after_trying(state: CheckState, *, works: bool) -> CheckState:
    """Return the state after sign-on was tried from the service provider's side.

    The same answer again changes nothing, and one that worked once may fail later.

    Raises:
        ConflictError: there is nothing to try before it has a certificate of the organization.
    """
    if state is CheckState.USES_DEFAULT:
        raise ConflictError(
            "It still has the retired default certificate, or none: switch it first (`keywright"
            " saml switch`), then try."
        )
    if not works:
        return CheckState.IDP_UPDATE_NEEDED
    # What is done and works stays done.
    return state if state is CheckState.DONE else CheckState.WORKS


def after_completing(state: CheckState) -> CheckState:
    """Return the state of a configuration with which all is well.

    That is: sign-on works, or the identity provider has been given the certificate.

    Raises:
        ConflictError: it has not been tried.
    """
    if state in (CheckState.USES_DEFAULT, CheckState.SWITCHED):
        raise ConflictError(
            "It has not been tried since its certificate changed; try to sign on, and say how that"
            " went (`keywright saml tried`)."
        )
    return CheckState.DONE
