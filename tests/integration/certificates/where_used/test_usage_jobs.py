"""Jobs on usages: other systems keep the list of places up to date."""

from typing import Any

import pytest

from tests.integration.certificates.inventory import inventory
from tests.integration.jobs.workbench import Workbench, problem
from workers.certificates.usage_jobs import (
    delete_unused,
    register_usage,
    restore_deleted,
    switch_usage,
    withdraw_usage,
)
from workers.certificates.usages import list_usages
from workers.contract import (
    DeleteCertificate,
    JobRequest,
    MoveUsage,
    RegisterUsage,
    RemoveUsage,
    RestoreCertificate,
)
from workers.database.pool import Connection
from workers.jobs.enqueue import enqueue
from workers.jobs.inspection import JobDetails

HANDLERS: dict[type[JobRequest], Any] = {
    RegisterUsage: register_usage,
    MoveUsage: switch_usage,
    RemoveUsage: withdraw_usage,
    DeleteCertificate: delete_unused,
    RestoreCertificate: restore_deleted,
}
OKTA: dict[str, Any] = {"place_kind": "saml_configuration", "place": "Okta"}


class Desk:
    """Asks for jobs on behalf of Acme and has each executed."""

    def __init__(self, connection: Connection, workbench: Workbench) -> None:
        self.acme = inventory(connection)
        self._workbench = workbench

    def ask(self, request: JobRequest, *, for_nobody: bool = False) -> JobDetails:
        owner = None if for_nobody else self.acme.organization_id
        job_id = enqueue(self.acme.connection, request, organization_id=owner).job_id
        return self._workbench.execute(HANDLERS[type(request)], request, job_id=job_id)

    def places(self) -> list[tuple[str, str, int]]:
        usages = list_usages(self.acme.connection, organization_id=self.acme.organization_id)
        return [(each.place, each.unique_name, each.version_number) for each in usages]


@pytest.fixture
def desk(connection: Connection, workbench: Workbench) -> Desk:
    """An organization with a certificate of two versions, and another."""
    desk = Desk(connection, workbench)
    desk.acme.keep("web")
    desk.acme.renew("web")
    desk.acme.keep("mail", number=3)
    return desk


def test_usages_are_registered_moved_and_removed(desk: Desk) -> None:
    assert desk.ask(RegisterUsage(certificate="WEB", **OKTA)).state == "succeeded"
    assert desk.places() == [("Okta", "web", 2)]
    assert desk.ask(MoveUsage(certificate="web", version_number=1, **OKTA)).state == "succeeded"
    assert desk.places() == [("Okta", "web", 1)]
    assert desk.ask(MoveUsage(certificate="mail", **OKTA)).state == "succeeded"
    assert desk.places() == [("Okta", "mail", 1)]
    assert desk.ask(RemoveUsage(**OKTA)).state == "succeeded"
    assert desk.places() == []


def test_registering_what_is_registered_changes_nothing_and_another_is_refused(desk: Desk) -> None:
    first = desk.ask(RegisterUsage(certificate="web", **OKTA))
    again = desk.ask(RegisterUsage(certificate="web", version_number=2, **OKTA))
    assert again.result == first.result
    for other in ({"certificate": "mail"}, {"certificate": "web", "version_number": 1}):
        refused = desk.ask(RegisterUsage(**other, **OKTA))
        assert refused.state == "failed"
        assert "uses a certificate already; move that usage" in problem(refused)["detail"]
    assert desk.places() == [("Okta", "web", 2)]


def test_moving_to_where_a_place_is_changes_nothing(desk: Desk) -> None:
    desk.ask(RegisterUsage(certificate="web", **OKTA))
    assert desk.ask(MoveUsage(certificate="web", **OKTA)).state == "succeeded"
    assert desk.places() == [("Okta", "web", 2)]


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (RegisterUsage(certificate="none", **OKTA), "no certificate named “none”"),
        (RegisterUsage(certificate="web", version_number=9, **OKTA), "no signed version 9"),
        (RegisterUsage(certificate="web", place_kind="x", place=" blank"), "place: 1 to 200"),
        (MoveUsage(certificate="web", **OKTA), "saml_configuration: Okta uses no certificate"),
        (RemoveUsage(**OKTA), "saml_configuration: Okta uses no certificate"),
        (DeleteCertificate(unique_name="none"), "no certificate named “none”"),
        (RestoreCertificate(unique_name="web"), "No deleted certificate named “web”"),
    ],
)
def test_what_cannot_be_done_fails_at_once_and_says_why(
    desk: Desk, request_: JobRequest, says: str
) -> None:
    job = desk.ask(request_)
    assert (job.state, job.attempt) == ("failed", 1)
    assert says in problem(job)["detail"]
    assert desk.places() == []


def test_every_such_job_is_on_behalf_of_an_organization(desk: Desk) -> None:
    job = desk.ask(DeleteCertificate(unique_name="web"), for_nobody=True)
    assert "organization: certificate.delete" in problem(job)["detail"]


def test_rule_60_a_refused_deletion_lists_each_place_for_machines_too(desk: Desk) -> None:
    desk.ask(RegisterUsage(certificate="web", **OKTA))
    desk.ask(
        RegisterUsage(certificate="web", place_kind="api_client", place="Shop", version_number=1)
    )
    job = desk.ask(DeleteCertificate(unique_name="web"))
    assert job.state == "failed"
    told = problem(job)
    assert told["type"] == "urn:keywright:problem:certificate-in-use"
    assert told["usages"] == [
        "api_client: Shop (version 1)",
        "saml_configuration: Okta (version 2)",
    ]
    assert "api_client: Shop (version 1), saml_configuration: Okta (version 2)" in told["detail"]


def test_a_certificate_is_deleted_and_brought_back(desk: Desk) -> None:
    deleted = desk.ask(DeleteCertificate(unique_name="web"))
    assert deleted.state == "succeeded"
    desk.acme.keep("web", number=9)
    refused = desk.ask(RestoreCertificate(unique_name="web"))
    assert "--as NEW_NAME" in problem(refused)["detail"]
    restored = desk.ask(RestoreCertificate(unique_name="web", new_name="web_2026"))
    assert restored.result is not None
    assert restored.result["unique_name"] == "web_2026"
    assert deleted.result is not None
    assert restored.result["certificate_id"] == deleted.result["certificate_id"]
