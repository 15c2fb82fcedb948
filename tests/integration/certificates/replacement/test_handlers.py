"""``replacement.start``, ``replacement.advance`` and ``replacement.roll_back`` as jobs."""

from typing import Any

import pytest

from tests.integration.certificates.issuance.workshop import Workshop
from tests.integration.jobs.workbench import Workbench
from workers.certificates.replacement.handlers import (
    advance_replacement,
    roll_back_replacement,
    start_replacement,
)
from workers.certificates.replacements import list_replacements
from workers.certificates.usages import add_usage, list_usages
from workers.contract import AdvanceReplacement, RollBackReplacement, StartReplacement
from workers.contract.replacement import PlaceName
from workers.contract.request import JobRequest
from workers.jobs.inspection import JobDetails


def execute(acme: Workshop, workbench: Workbench, request: JobRequest) -> JobDetails:
    """Ask for a job and have it executed."""
    handlers: dict[type[JobRequest], Any] = {
        StartReplacement: lambda r, job: start_replacement(r, job, tools=acme.tools),
        AdvanceReplacement: advance_replacement,
        RollBackReplacement: roll_back_replacement,
    }
    return workbench.execute(handlers[type(request)], request, job_id=acme.ask(request))


def result(job: JobDetails) -> dict[str, Any]:
    assert job.state == "succeeded", job.problem
    assert job.result is not None
    return job.result


@pytest.fixture
def acme(workshop: Workshop) -> Workshop:
    """An organization with a self-signed certificate that two places use."""
    workshop.generate("web")
    for place in ("Billing", "Shop"):
        add_usage(
            workshop.connection,
            organization_id=workshop.organization_id,
            unique_name="web",
            place_kind="api_client",
            place=place,
            now=workshop.now,
        )
    return workshop


def versions(acme: Workshop) -> dict[str, int]:
    usages = list_usages(acme.connection, organization_id=acme.organization_id)
    return {each.place: each.version_number for each in usages}


def test_a_certificate_is_rekeyed_and_its_places_follow(
    acme: Workshop, workbench: Workbench
) -> None:
    started = result(execute(acme, workbench, StartReplacement(certificate="web", rekey=True)))
    assert started["replacement_id"] == 1
    assert (started["created"], started["new_version"], started["places"]) == (True, 2, 2)
    billing = (PlaceName(place_kind="api_client", place="Billing"),)
    for to in ("overlapping", "switched"):
        request = AdvanceReplacement(replacement_id=1, to=to, places=billing)
        assert result(execute(acme, workbench, request))["moved"] == 1
        assert result(execute(acme, workbench, request))["there_already"] == 1
    assert versions(acme) == {"Billing": 2, "Shop": 1}
    refused = execute(acme, workbench, AdvanceReplacement(replacement_id=1, to="completed"))
    assert refused.state == "failed"
    assert refused.problem is not None
    assert "api_client: Shop is waiting" in refused.problem["detail"]
    back = RollBackReplacement(replacement_id=1)
    assert result(execute(acme, workbench, back))["state"] == "rolled_back"
    assert result(execute(acme, workbench, back))["moved"] == 0
    assert versions(acme) == {"Billing": 1, "Shop": 1}


def test_asked_for_twice_there_is_one_new_key_pair(acme: Workshop, workbench: Workbench) -> None:
    request = StartReplacement(certificate="web", version_number=1, rekey=True)
    result(execute(acme, workbench, request))
    again = result(execute(acme, workbench, request))
    assert (again["replacement_id"], again["created"]) == (1, False)
    refused = execute(acme, workbench, StartReplacement(certificate="web", rekey=True))
    assert refused.problem is not None
    assert "has a part in replacement 1" in refused.problem["detail"]
    assert len(acme.versions("web")) == 2
    assert len(list_replacements(acme.connection, now=acme.now)) == 1


def test_rule_13_a_request_that_a_ca_is_to_sign_starts_nothing_yet(
    workshop: Workshop, workbench: Workbench
) -> None:
    workshop.generate("web", ca_signed=True, profile="signing", subject={"common_name": "web"})
    workshop.connection.execute(
        "UPDATE keywright.certificate_version SET not_before = now(), not_after = now() + '1 day'"
    )  # as if it had been signed
    for _ in range(2):
        done = result(execute(workshop, workbench, StartReplacement(certificate="web", rekey=True)))
        assert (done["waits_for_signature"], done["replacement_id"]) == (True, None)
        assert done["new_version"] == 2
    assert list_replacements(workshop.connection, now=workshop.now) == []


def test_a_successor_is_named_or_made_and_not_both(acme: Workshop, workbench: Workbench) -> None:
    done = execute(
        acme, workbench, StartReplacement(certificate="web", successor="other", rekey=True)
    )
    assert done.problem is not None
    assert done.problem["detail"].startswith("rekey:")
