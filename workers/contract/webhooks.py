"""Jobs that tell announcements to webhooks, by HTTPS."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from workers.contract.request import JobRequest, Queue


class WebhooksDelivered(BaseModel):
    """How many messages were accepted, are tried again later, and were given up."""

    delivered: int = 0
    failed: int = 0
    given_up: int = 0


class WebhooksPurged(BaseModel):
    """How many secrets had expired and are gone, and how many messages were given up."""

    secrets: int
    given_up: int


class DeliverWebhooks(JobRequest):
    """Tell an endpoint what it is still to be told, as far as it takes it."""

    kind: ClassVar[str] = "webhook.deliver"
    queue: ClassVar[Queue] = Queue.NOTIFICATIONS
    result: ClassVar[type[BaseModel] | None] = WebhooksDelivered
    time_limit_seconds: ClassVar[float] = 180

    endpoint_id: Annotated[int, Field(ge=1)]


class PurgeWebhooks(JobRequest):
    """Remove secrets of webhooks that have expired, and give up what waited for too long."""

    kind: ClassVar[str] = "webhook.purge"
    queue: ClassVar[Queue] = Queue.MAINTENANCE
    result: ClassVar[type[BaseModel] | None] = WebhooksPurged
