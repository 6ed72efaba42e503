"""Heads of requests that are known are not parsed again, and nothing else changes by that."""

from __future__ import annotations

import asyncio
import random

import pytest
from cli.test_serving_connection import GET, EchoAtOnce, connected, run, sending, settled

from nnscratch.cli.serving import together


class CountingParser:
    """A parser that counts what it is given."""

    def __init__(self, parser):
        self.parser, self.fed = parser, 0

    def feed_data(self, data):
        self.fed += 1
        self.parser.feed_data(data)

    def __getattr__(self, name):
        return getattr(self.parser, name)


class Forgetful(dict):
    """Heads of which none is known."""

    def get(self, key, default=None):
        return default


def counted(app, **options):
    connection, other = connected(app, **options)
    connection.parser = CountingParser(connection.parser)
    return connection, other


def bodies(app):
    return [body for group in app.given for body in group]


def test_a_known_head_is_not_parsed_again():
    async def test():
        app = EchoAtOnce()
        connection, other = counted(app)
        for n in range(5):
            connection.data_received(sending(b"%d" % n))
        connection.data_received(sending(b"long"))
        await settled(lambda: other.sent.count(b">") == 6)
        assert connection.parser.fed == 1
        assert app.seen == 0
        assert bodies(app) == [b"0", b"1", b"2", b"3", b"4", b"long"]
        assert len(app.opened_heads) == 1
        answers = other.sent.split(b"HTTP/1.1 200 OK\r\n")[1:]
        assert len(answers) == 6
        assert answers[0] == answers[1]
        connection.data_received(sending(b"later"))  # the application wants a task for this one
        connection.data_received(sending(b"later"))
        await settled(lambda: other.sent.count(b"</now 5>") == 2)
        assert app.seen == 2

    run(test)


def test_a_known_head_waits_for_what_is_under_way():
    async def test():
        app = EchoAtOnce()
        app.may.clear()
        connection, other = counted(app)
        one = sending(b"x")
        connection.data_received(one)
        connection.data_received(one)
        await settled(lambda: other.sent.count(b"<at once 1>") == 2)
        connection.data_received(GET)  # a task answers it, and not yet
        connection.data_received(one)
        await asyncio.sleep(0.02)
        assert other.sent.count(b">") == 2
        app.may.set()
        await settled(lambda: other.sent.count(b">") == 4)
        answers = [part.rpartition(b"<")[2] for part in other.sent.split(b">")[:-1]]
        assert answers == [b"at once 1", b"at once 1", b"/a 0", b"/now 1"]
        connection.data_received(one[:10])  # the beginning of a request
        connection.data_received(one)  # which goes on with what looks like one of its own
        await settled(lambda: b"HTTP/1.1 400" in other.sent)
        assert other.sent.count(b"at once") == 2

    run(test)


def test_few_and_short_heads_are_known():
    async def test():
        connection, _ = connected(EchoAtOnce())
        known = connection.together.known
        for size in range(1, 200):
            connection.data_received(sending(b"x" * size))
        assert len(known) == 1  # whatever their lengths
        for number in range(200):
            connection.data_received(sending(b"x", more=b"a: %d\r\n" % number))
            assert len(known) <= together._MOST_KNOWN
        known.clear()
        connection.data_received(sending(b"x", more=b"more: " + b"y" * 2000 + b"\r\n"))
        assert not known
        other, _ = connected(EchoAtOnce())
        connection.data_received(sending(b"x"))
        assert len(known) == 1
        assert not other.together.known  # of another server

    run(test)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /now HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /now HTTP/1.1\r\ncontent-length: 1, 1\r\n\r\n",
        b"POST /now HTTP/1.1\r\ncontent-length: 0x1\r\n\r\n",
        b"POST /now HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /now HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
def test_lengths_that_are_none_are_refused_whatever_is_known(head):
    async def test():
        app = EchoAtOnce()
        connection, other = connected(app)
        connection.data_received(sending(b"x"))
        connection.data_received(head + b"x")
        await settled(lambda: b"HTTP/1.1 400" in other.sent)
        assert len(connection.together.known) == 1
        assert app.seen == 0

    run(test)


def test_a_length_in_another_header_is_not_the_length():
    async def test():
        app = EchoAtOnce()
        connection, other = connected(app)
        for more in (b"x-content-length: 9\r\n", b"a: content-length: 9\r\n"):
            for body in (b"1", b"22"):
                connection.data_received(sending(body, more=more))
        await settled(lambda: other.sent.count(b">") == 4)
        assert bodies(app) == [b"1", b"22"] * 2
        assert together.split_head(b"POST / HTTP/1.1\r\nx-content-length: 9\r\n\r\n") is None
        assert together.split_head(b"POST / HTTP/1.1\r\ncontent-length: 9\r\n") is None

    run(test)


def several(app, count):
    """Return connections to one server, which knows the head of what is sent."""
    first = connected(app)
    found = [first, *(connected(app, kind=type(first[0])) for _ in range(count - 1))]
    first[0].data_received(sending(b"x"))
    first[1].sent = b""
    app.given.clear()
    return found


def test_what_comes_on_many_connections_is_answered_in_one_call():
    async def test():
        app = EchoAtOnce()
        found = several(app, together._MOST_TOGETHER + 3)
        for n, (connection, _) in enumerate(found):
            connection.data_received(sending(b"later" if n == 2 else b"%c" % (97 + n)))
        # The one for the task has been looked at once more by itself.
        assert [len(group) for group in app.given] == [together._MOST_TOGETHER, 1]
        await settled(lambda: all(other.sent.endswith(b">") for _, other in found))
        assert [len(group) for group in app.given[2:]] == [3]
        ends = [other.sent.rpartition(b"<")[2] for _, other in found]
        # What cannot be answered so is answered alone, and its neighbours never notice.
        assert ends == [b"/now 5>" if n == 2 else b"at once 1>" for n in range(len(found))]
        assert app.seen == 1

    run(test)


def test_an_application_that_fails_leaves_nobody_waiting(capsys):
    async def test():
        app = EchoAtOnce()
        found = several(app, 3)
        answer = app.at_once

        def at_once(requests):
            if len(requests) > 1:
                raise ValueError("together")
            return answer(requests)

        app.at_once = at_once
        for connection, _ in found:
            connection.data_received(sending(b"x"))
        await settled(lambda: all(other.sent.endswith(b"<at once 1>") for _, other in found))

    run(test)
    assert "ValueError: together" in capsys.readouterr().err


def test_a_request_that_was_taken_is_answered_before_the_end():
    async def test():
        app = EchoAtOnce()
        found = several(app, 4)
        for connection, _ in found:
            connection.data_received(sending(b"x"))
        assert not app.given  # when the others have been read
        found[0][0].eof_received()
        assert len(app.given[0]) == 4
        for connection, _ in found:
            connection.data_received(sending(b"y"))
        found[1][0].shutdown()
        assert [other.sent.count(b"<at once 1>") for _, other in found] == [2] * 4
        assert found[1][1].closed
        for connection, other in found[2:]:
            connection.data_received(sending(b"z"))
            other.close()
            connection.connection_lost(None)
        await asyncio.sleep(0.02)
        assert [other.sent.count(b"<at once 1>") for _, other in found] == [2] * 4

    run(test)


@pytest.mark.parametrize("seed", range(12))
def test_answers_are_those_of_a_server_that_knows_no_heads(seed):
    source = random.Random(seed)
    kinds = [
        sending(b"abc"), sending(b"abc"), sending(b"xyz"), sending(b"later"), sending(b""), GET,
        sending(b"abc", more=b"expect: 100-continue\r\n"), sending(b"abc", more=b"a: b\r\n"),
        sending(b"later", path=b"/other"), sending(b"abc", more=b"connection: close\r\n"),
    ]  # fmt: skip
    asked = source.choices(kinds, weights=[6, 6, 6, 2, 1, 1, 1, 2, 1, 0.2], k=40)
    parts = []
    for one in asked:
        if source.random() < 0.2:
            cut = source.randrange(len(one))
            parts += [one[:cut], one[cut:]]
        elif parts and source.random() < 0.15:
            parts[-1] += one
        else:
            parts.append(one)

    def answered(known):
        sent = []

        async def test():
            connection, other = connected(EchoAtOnce())
            if not known:
                connection.together.known = Forgetful()
            for part in parts:
                if part and not other.closed:
                    connection.data_received(part)
                    await asyncio.sleep(0)
            await asyncio.sleep(0.05)
            # Whether a task answered does not matter: it says the path and the size.
            sent.append(other.sent.replace(b"<at once", b"</now"))

        run(test)
        return [part.rpartition(b"<")[2] for part in sent[0].split(b">")[:-1]]

    assert answered(True) == answered(False)
    assert answered(True)
