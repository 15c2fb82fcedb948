"""``handover.purge``: nothing that was handed over stays longer than it was to."""

from workers.certificates.handover import store
from workers.contract.keystores import PurgedHandover, PurgeHandover
from workers.jobs.running import RunningJob

_SECRETS_PER_STEP = 1000
_ARTIFACTS_PER_STEP = 100


def purge_handover(_request: PurgeHandover, job: RunningJob) -> PurgedHandover:
    """Remove what has expired, step by step; that it had been there stays on record."""
    secrets = artifacts = 0
    while True:
        job.stop_if_asked()
        with job.checkpoint() as connection:
            removed = store.remove_expired_secrets(connection, now=job.now, limit=_SECRETS_PER_STEP)
            emptied = store.remove_expired_contents(
                connection, now=job.now, limit=_ARTIFACTS_PER_STEP
            )
        secrets += removed
        artifacts += emptied
        job.report_progress(secrets + artifacts)
        if removed < _SECRETS_PER_STEP and emptied < _ARTIFACTS_PER_STEP:
            return PurgedHandover(secrets=secrets, artifacts=artifacts)
