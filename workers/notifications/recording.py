"""Recording deliveries before and after, together for all threads that send. SQL only.

Each step says how the last mails of a thread ended and which ones it sends next. The steps of all
threads that wait become one transaction, so that the proof of every mail costs a fraction of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from workers.database.pool import DATABASE_TROUBLE, Pool
from workers.jobs.claim import ClaimedJob
from workers.jobs.together import Together

# What the end of a delivery means for its digest and its notices; a deferred one goes on.
_FINAL = {"accepted": "sent", "refused": "failed", "given_up": "failed"}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of a delivery: ``accepted``, ``refused``, ``deferred`` or ``given_up``."""

    digest_id: int
    state: str
    code: int | None
    reply: str | None


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """A delivery that is about to be made, for a job that must still be ours."""

    digest_id: int
    message_id: str
    job: ClaimedJob


@dataclass(frozen=True)
class Step:
    """What one thread has to record at a moment."""

    ended: tuple[Ended, ...] = ()
    beginnings: tuple[Beginning, ...] = ()


class Recorder:
    """Writes steps to the delivery ledger."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._write_together = Together(self._write, everybodys=DATABASE_TROUBLE)

    def record(self, step: Step) -> bool:
        """Commit ``step``; False means that the job of its beginnings is no longer ours."""
        return self._write_together(step)

    def _write(self, steps: Sequence[Step]) -> list[bool]:
        ended = sorted((each for step in steps for each in step.ended), key=lambda e: e.digest_id)
        begun = sorted(
            (each for step in steps for each in step.beginnings), key=lambda b: b.digest_id
        )
        allowed: set[int] = set()
        with self._pool.connection() as connection:
            with connection.pipeline(), connection.transaction():
                if ended:
                    connection.execute(_END, _columns_of_ended(ended))
                beginnings = connection.execute(_BEGIN, _columns_of_begun(begun)) if begun else None
            if beginnings is not None:
                allowed = {row[0] for row in beginnings.fetchall()}
        return [all(each.digest_id in allowed for each in step.beginnings) for step in steps]


def _columns_of_ended(ended: Sequence[Ended]) -> dict[str, list[object]]:
    return {
        "digest_ids": [each.digest_id for each in ended],
        "states": [each.state for each in ended],
        "codes": [each.code for each in ended],
        "replies": [each.reply for each in ended],
        "finals": [_FINAL.get(each.state) for each in ended],
    }


def _columns_of_begun(begun: Sequence[Beginning]) -> dict[str, list[object]]:
    return {
        "digest_ids": [each.digest_id for each in begun],
        "message_ids": [each.message_id for each in begun],
        "job_ids": [each.job.job_id for each in begun],
        "claims": [each.job.claim for each in begun],
    }


# What the server said is a fact, whoever has the job by now.
_END = """
WITH ended AS (
    SELECT digest_id, state, code, reply, final
      FROM unnest(%(digest_ids)s::bigint[], %(states)s::text[], %(codes)s::smallint[],
                  %(replies)s::text[], %(finals)s::text[])
           AS ended (digest_id, state, code, reply, final)
), proven AS (
    UPDATE keywright.delivery
       SET state = ended.state::keywright.delivery_state, smtp_code = ended.code,
           smtp_reply = ended.reply, finished_at = clock_timestamp()
      FROM ended
     WHERE delivery.digest_id = ended.digest_id AND delivery.channel = 'email'
), closed AS (
    UPDATE keywright.digest
       SET state = ended.final::keywright.digest_state
      FROM ended
     WHERE digest.digest_id = ended.digest_id AND ended.final IS NOT NULL
    RETURNING digest.digest_id, digest.organization_id, digest.member_id, digest.local_day,
              ended.final, ended.state, ended.code
), told AS (
    UPDATE keywright.notice
       SET state = closed.final::keywright.notice_state
      FROM closed
     WHERE notice.member_id = closed.member_id AND notice.local_day = closed.local_day
       AND notice.state = 'planned'
    RETURNING closed.digest_id, notice.version_id, notice.tier_days
), listed AS MATERIALIZED (
    SELECT digest_id, jsonb_agg(jsonb_build_object('version_id', version_id,
                                                   'tier_days', tier_days)
                                ORDER BY version_id, tier_days) AS notices
      FROM told GROUP BY digest_id
)
INSERT INTO keywright.announcement (kind, organization_id, subject, data)
SELECT CASE WHEN closed.final = 'sent' THEN 'notice.delivered' ELSE 'notice.failed' END,
       closed.organization_id, 'digest/' || closed.digest_id,
       jsonb_build_object('digest_id', closed.digest_id, 'member_id', closed.member_id,
                          'local_day', closed.local_day, 'channel', 'email',
                          'notices', coalesce(listed.notices, '[]'))
       || CASE WHEN closed.final = 'sent' THEN '{}'::jsonb
               ELSE jsonb_build_object('because', closed.state, 'smtp_code', closed.code) END
  FROM closed LEFT JOIN listed USING (digest_id)
 ORDER BY closed.digest_id
"""

_BEGIN = """
INSERT INTO keywright.delivery (digest_id, channel, state, message_id, begun_at)
SELECT begun.digest_id, 'email', 'sending', begun.message_id, clock_timestamp()
  FROM unnest(%(digest_ids)s::bigint[], %(message_ids)s::text[], %(job_ids)s::bigint[],
              %(claims)s::uuid[]) AS begun (digest_id, message_id, job_id, claim)
  JOIN keywright.job ON job.job_id = begun.job_id AND job.claim = begun.claim
    ON CONFLICT (digest_id, channel) DO UPDATE
   SET state = 'sending', attempt = delivery.attempt + 1, begun_at = clock_timestamp(),
       finished_at = NULL
RETURNING digest_id
"""
