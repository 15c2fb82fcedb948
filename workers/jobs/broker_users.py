"""What each user of RabbitMQ may do, and how the broker is told: patterns, as narrow as they go.

``configure`` is declaring and deleting, ``write`` publishing and being bound to, ``read`` consuming
and binding from (RabbitMQ's “Access Control”). Every pattern is anchored at both ends, and the
empty one matches only what has no name. Needs nothing but Python: deploy/make_secrets.py uses it.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

SCHEDULER = "keywright_scheduler"
WORKER = "keywright_worker"
OPERATOR = "operator"

_NOTHING = "^$"
_DEFAULT_EXCHANGE = r"amq\.default"  # as permissions call the exchange without a name
_INTAKE = r"keywright\.intake"
_EVENTS = r"keywright\.events"
_WORK = "(notifications|certificates|encryption|maintenance)"

# A dot would make one user's queues look like those of another: a and a.b, keywright.reply.a.b.
_NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"


@dataclass(frozen=True)
class Rights:
    """What one user may do in keywright's virtual host.

    ``topics`` is a pattern for the routing keys of announcements that it may bind a queue to. A
    user for whom RabbitMQ has no such pattern may bind to all, so there always is one.
    """

    user: str
    configure: str
    write: str
    read: str
    topics: str = _NOTHING
    tags: tuple[str, ...] = ()


KEYWRIGHT = (
    # Declares everything, publishes hints, replies and announcements, consumes the intake. The read
    # right on work queues is what a queue with dead letters takes to be declared.
    Rights(
        SCHEDULER,
        configure=rf"^({_INTAKE}(\.XQ)?|keywright\.refused|{_EVENTS}|{_WORK}(\.XQ)?)$",
        write=rf"^({_DEFAULT_EXCHANGE}|{_INTAKE}|keywright\.refused|{_EVENTS})$",
        read=rf"^({_INTAKE}|keywright\.refused|{_WORK})$",
        topics=_NOTHING,
    ),
    # Consumes hints; publishes what is none of ours to the dead letters.
    Rights(WORKER, configure=_NOTHING, write=f"^{_DEFAULT_EXCHANGE}$", read=f"^{_WORK}$"),
    # Sees everything on RabbitMQ's page. To read a queue would be to take its messages away.
    Rights(OPERATOR, configure=_NOTHING, write=_NOTHING, read=_NOTHING, tags=("monitoring",)),
)


def requester_rights(
    user: str, *, asks: bool = True, reply_queue: bool = False, organizations: Sequence[int] = ()
) -> Rights:
    """Return what the user of another system may do.

    ``asks``: publish requests, and wait for direct replies (which takes no right). ``reply_queue``:
    declare and consume ``keywright.reply.<user>`` and ``keywright.reply.<user>.<anything>``.
    ``organizations``: ids of those whose announcements it may bind to queues of its own,
    ``keywright.events.<user>`` and ``keywright.events.<user>.<anything>``.

    Raises:
        ValueError: the name is not one from which such names can be made.
    """
    if not re.fullmatch(_NAME, user):
        raise ValueError(
            "the name of a user must be up to 63 letters, digits, underscores and hyphens, the"
            " first a letter or digit"
        )
    if user in {each.user for each in KEYWRIGHT}:
        raise ValueError("this user is one of keywright's own; take another name")
    own_replies = rf"keywright\.reply\.{user}(\..+)?"
    own_events = rf"{_EVENTS}\.{user}(\..+)?"
    topics = "|".join(str(number) for number in sorted(set(organizations)))
    return Rights(
        user,
        configure=_any_of(reply_queue and own_replies, organizations and own_events),
        write=_any_of(asks and _INTAKE, organizations and own_events),
        read=_any_of(
            reply_queue and own_replies, organizations and own_events, organizations and _EVENTS
        ),
        topics=rf"^({topics})\." if topics else _NOTHING,
    )


def _any_of(*patterns: object) -> str:
    wanted = [str(pattern) for pattern in patterns if pattern]
    return f"^({'|'.join(wanted)})$" if wanted else _NOTHING


def definitions(users: Sequence[Rights], vhost: str) -> dict[str, list[dict[str, str]]]:
    """Return what a definitions file says of the rights of users."""
    return {
        "permissions": [
            {
                "user": each.user,
                "vhost": vhost,
                "configure": each.configure,
                "write": each.write,
                "read": each.read,
            }
            for each in users
        ],
        "topic_permissions": [
            {
                "user": each.user,
                "vhost": vhost,
                "exchange": "keywright.events",
                # What may be published there at all says the right to write above.
                "write": ".*" if each.user == SCHEDULER else _NOTHING,
                "read": each.topics,
            }
            for each in users
        ],
    }


def commands(rights: Rights, vhost: str) -> list[str]:
    """Return the shell commands that make a user; the first asks for its password."""
    said = definitions([rights], vhost)
    [may], [topics] = said["permissions"], said["topic_permissions"]
    where = ("--vhost", vhost, rights.user)
    words: list[tuple[str, ...]] = [("add_user", rights.user)]
    if rights.tags:
        words.append(("set_user_tags", rights.user, *rights.tags))
    words += [
        ("set_permissions", *where, may["configure"], may["write"], may["read"]),
        ("set_topic_permissions", *where, topics["exchange"], topics["write"], topics["read"]),
    ]
    return [shlex.join(("rabbitmqctl", *command)) for command in words]
