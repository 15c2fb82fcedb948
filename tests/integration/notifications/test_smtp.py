"""Handing messages to real mail servers, and to one that misbehaves on request."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.notifications.scripted_server import HANG_UP, SILENCE, ScriptedServer
from tests.servers.ports import free_port
from tests.servers.smtp import SmtpSink
from workers.errors import TransientError
from workers.notifications.mail_server import MailServerUnavailableError, SmtpServer
from workers.notifications.message import Message, UnsendableError
from workers.notifications.smtp import SendOutcome, SmtpSession

ANN = "ann@example.org"
BOB = "bob@example.org"
MESSAGE = Message(
    sender="keywright@example.com",
    content=b"Subject: Hello\r\n\r\n.\r\n..two dots\r\n.one dot\r\nend.\r\n",
)


@contextmanager
def session_with(url: str) -> Iterator[SmtpSession]:
    session = SmtpSession(SmtpServer.from_url(url))
    try:
        yield session
    finally:
        session.close()


def test_a_message_arrives_byte_for_byte(smtp_sink: SmtpSink) -> None:
    with session_with(smtp_sink.url) as session:
        outcome = session.send(MESSAGE, ANN)
    assert outcome == SendOutcome("accepted", 250, "2.0.0 OK")
    [mail] = smtp_sink.wait_for(1)
    assert (mail.sender, mail.recipients) == (MESSAGE.sender, (ANN,))
    assert mail.raw == MESSAGE.content


def test_one_connection_carries_many_messages(smtp_sink: SmtpSink) -> None:
    with session_with(smtp_sink.url) as session:
        for _ in range(20):
            assert session.send(MESSAGE, ANN).state == "accepted"
    assert len(smtp_sink.wait_for(20)) == 20
    assert smtp_sink.connections == 1


def test_a_refused_recipient_is_refused_alone(smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse(BOB, "550 5.1.1 <bob@example.org>: bob@example.org is unknown")
    with session_with(smtp_sink.url) as session:
        refused = session.send(MESSAGE, BOB)
        assert session.send(MESSAGE, ANN).state == "accepted"
    assert refused == SendOutcome("refused", 550, "5.1.1 (address): (address) is unknown")
    assert smtp_sink.connections == 1


def test_a_deferred_recipient_may_be_tried_again_on_the_same_connection(
    smtp_sink: SmtpSink,
) -> None:
    smtp_sink.defer(BOB, "451 4.7.1 Greylisted", times=1)
    with session_with(smtp_sink.url) as session:
        assert session.send(MESSAGE, BOB) == SendOutcome("deferred", 451, "4.7.1 Greylisted")
        assert session.send(MESSAGE, BOB).state == "accepted"
    assert smtp_sink.connections == 1


@pytest.mark.parametrize(
    ("stage", "reply", "state"),
    [
        ("MAIL", "452 4.3.1 Disk full", "deferred"),
        ("DATA", "451 4.3.0 Not now", "deferred"),
        ("DATA", "554 5.7.1 Not from there", "refused"),
        ("DATA", "250 2.0.0 What?", "deferred"),
        (".", "452 4.3.1 Disk full", "deferred"),
        (".", "550 5.7.1 Looks like spam", "refused"),
    ],
)
@pytest.mark.parametrize("pipelining", [False, True])
def test_the_session_goes_on_after_each_kind_of_no(
    stage: str, reply: str, state: str, *, pipelining: bool
) -> None:
    with ScriptedServer(pipelining=pipelining) as server, session_with(server.url) as session:
        server.next_replies(stage, reply)
        outcome = session.send(MESSAGE, ANN)
        assert (outcome.state, f"{outcome.code} {outcome.reply}") == (state, reply)
        assert session.send(MESSAGE, BOB).state == "accepted"
        assert len(server.connections) == 1
    assert server.contents[-1] == MESSAGE.content.replace(b"\r\n.", b"\r\n..")


def test_a_server_that_pipelines_is_given_all_three_commands_at_once() -> None:
    with ScriptedServer(pipelining=True) as server, session_with(server.url) as session:
        assert session.send(MESSAGE, ANN).state == "accepted"
    assert server.connections[0][1:-1] == [
        "MAIL FROM:<keywright@example.com>",
        "RCPT TO:<ann@example.org>",
        "DATA",
    ]


def test_a_pipelined_data_that_is_accepted_for_nobody_is_ended_empty() -> None:
    with ScriptedServer(pipelining=True) as server, session_with(server.url) as session:
        server.next_replies("RCPT", "550 5.1.1 Unknown")
        assert session.send(MESSAGE, BOB) == SendOutcome("refused", 550, "5.1.1 Unknown")
        assert session.send(MESSAGE, ANN).state == "accepted"
    assert [len(content) > 0 for content in server.contents] == [False, True]
    assert len(server.connections) == 1


@pytest.mark.parametrize("farewell", ["", "421 4.4.2 Idle for too long"])
@pytest.mark.parametrize("pipelining", [False, True])
def test_a_connection_dropped_while_idle_is_opened_again(
    farewell: str, *, pipelining: bool
) -> None:
    with ScriptedServer(pipelining=pipelining) as server, session_with(server.url) as session:
        server.next_replies(".", f"250 2.0.0 Taken\r\n{farewell}".rstrip() + HANG_UP)
        assert session.send(MESSAGE, ANN).state == "accepted"
        assert server.hung_up.wait(10)
        assert session.send(MESSAGE, BOB).state == "accepted"
    assert len(server.contents) == 2
    assert len(server.connections) == 2


def test_a_restarted_server_is_found_again(smtp_sink: SmtpSink) -> None:
    with session_with(smtp_sink.url) as session:
        assert session.send(MESSAGE, ANN).state == "accepted"
        smtp_sink.down()
        with pytest.raises(MailServerUnavailableError, match="cannot be reached"):
            session.send(MESSAGE, ANN)
        smtp_sink.up()
        assert session.send(MESSAGE, ANN).state == "accepted"


def test_a_server_that_always_hangs_up_is_asked_once_more_and_no_more() -> None:
    with ScriptedServer() as server, session_with(server.url) as session:
        assert session.send(MESSAGE, ANN).state == "accepted"
        server.next_replies("RCPT", *["421 4.7.0 Too busy" + HANG_UP] * 5)
        with pytest.raises(MailServerUnavailableError, match=r"closed the connection: 4\.7\.0 Too"):
            session.send(MESSAGE, ANN)
        assert len(server.connections) == 2


def test_a_message_whose_fate_is_unknown_is_not_sent_again_at_once(smtp_sink: SmtpSink) -> None:
    with session_with(smtp_sink.url) as session:
        assert session.send(MESSAGE, ANN).state == "accepted"
        smtp_sink.hang_up_after_data()
        with pytest.raises(MailServerUnavailableError, match="before it confirmed a message"):
            session.send(MESSAGE, BOB)
        assert len(smtp_sink.wait_for(2)) == 2
        assert session.send(MESSAGE, ANN).state == "accepted"
    assert smtp_sink.connections == 2


def test_a_server_that_closes_after_the_message_did_not_take_it() -> None:
    with ScriptedServer() as server, session_with(server.url) as session:
        server.next_replies(".", "421 4.3.2 Shutting down" + HANG_UP)
        with pytest.raises(MailServerUnavailableError, match=r"4\.3\.2 Shutting down"):
            session.send(MESSAGE, ANN)
        assert session.send(MESSAGE, ANN).state == "accepted"


@pytest.mark.parametrize("verb", ["EHLO", "RCPT", "."])
def test_a_silent_server_is_not_waited_for_endlessly(verb: str) -> None:
    with ScriptedServer() as server, session_with(f"{server.url}?timeout=0.1") as session:
        server.next_replies(verb, SILENCE, SILENCE)
        with pytest.raises(MailServerUnavailableError, match="did not answer in time"):
            session.send(MESSAGE, ANN)


def test_an_absent_server_is_named_with_its_port() -> None:
    port = free_port()
    with (
        session_with(f"smtp://127.0.0.1:{port}") as session,
        pytest.raises(TransientError, match=f"The mail server 127.0.0.1:{port} cannot be reached"),
    ):
        session.send(MESSAGE, ANN)


def test_a_name_that_nobody_knows_is_told() -> None:
    with (
        session_with("smtp://nowhere.invalid?tls=none") as session,
        pytest.raises(MailServerUnavailableError, match="has a name that cannot be resolved"),
    ):
        session.send(MESSAGE, ANN)


def test_a_refused_sender_is_no_fault_of_the_recipient() -> None:
    with ScriptedServer() as server, session_with(server.url) as session:
        server.next_replies("MAIL", "553 5.7.1 <keywright@example.com> not owned by you")
        with pytest.raises(MailServerUnavailableError, match="KEYWRIGHT_MAIL_FROM") as caught:
            session.send(MESSAGE, ANN)
        assert "(553 5.7.1 (address) not owned by you)" in str(caught.value)
        assert session.send(MESSAGE, ANN).state == "accepted"


def test_the_greeting_of_a_server_that_refuses_everybody_is_told() -> None:
    with ScriptedServer() as server, session_with(server.url) as session:
        server.next_replies("EHLO", "554 5.7.1 Go away")
        server.next_replies("HELO", "554 5.7.1 Go away")
        with pytest.raises(MailServerUnavailableError, match=r"said 554 5\.7\.1 Go away"):
            session.send(MESSAGE, ANN)


def test_the_greeting_is_an_address_literal_and_needs_no_look_up() -> None:
    with ScriptedServer() as server, session_with(server.url) as session:
        session.send(MESSAGE, ANN)
    assert server.connections[0][0] == "EHLO [127.0.0.1]"


def test_long_replies_are_shortened_and_put_on_one_line() -> None:
    reply = "550-5.7.1 first\r\n550 5.7.1 second " + "x" * 400
    with ScriptedServer() as server, session_with(server.url) as session:
        server.next_replies("RCPT", reply)
        outcome = session.send(MESSAGE, ANN)
    assert outcome.reply.startswith("5.7.1 first 5.7.1 second xxx")
    assert len(outcome.reply) == 200


def test_an_address_outside_ascii_goes_where_servers_understand_it() -> None:
    with ScriptedServer("SMTPUTF8") as server, session_with(server.url) as session:
        assert session.send(MESSAGE, "jürgen@bücher.example").state == "accepted"
    assert server.connections[0][1:3] == [
        "MAIL FROM:<keywright@example.com> SMTPUTF8",
        "RCPT TO:<jürgen@xn--bcher-kva.example>",
    ]


def test_an_address_outside_ascii_is_refused_for_a_server_that_does_not() -> None:
    with ScriptedServer() as server, session_with(server.url) as session:
        outcome = session.send(MESSAGE, "jürgen@example.org")
        assert (outcome.state, outcome.code) == ("refused", None)
        assert "ASCII" in outcome.reply
        assert session.send(MESSAGE, "ann@bücher.example").state == "accepted"


def test_an_impossible_address_never_reaches_the_server() -> None:
    with ScriptedServer() as server, session_with(server.url) as session:
        with pytest.raises(UnsendableError):
            session.send(MESSAGE, "ann@example.org>\r\nDATA")
        assert server.connections == []
