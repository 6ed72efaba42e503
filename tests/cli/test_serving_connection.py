"""A connection of the server: what waits in it, what is no HTTP, and what is never taken."""

from __future__ import annotations

import asyncio

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from nnscratch.cli.serving.connection import guarded

GET = b"GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Transport(asyncio.Transport):
    """The other side of a connection: what it was sent, and whether anything is read of it."""

    def __init__(self):
        super().__init__()
        self.sent, self.closed, self.aborted, self.reads, self.waiting = b"", False, False, True, 0

    def get_extra_info(self, name, default=None):
        return default

    def write(self, data):
        self.sent += data

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = self.closed = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        self.reads = False

    def resume_reading(self):
        self.reads = True

    def get_write_buffer_size(self):
        return self.waiting


class Echo:
    """An application that answers with the path and the size of the body, once it may."""

    def __init__(self, reads_bodies=True):
        self.may, self.seen, self.reads_bodies = asyncio.Event(), 0, reads_bodies

    async def __call__(self, scope, receive, send):
        self.seen += 1
        size, more = 0, self.reads_bodies
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size, more = size + len(message["body"]), message["more_body"]
        await self.may.wait()
        body = f"<{scope['path']} {size}>".encode()
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})


class EchoAtOnce(Echo):
    """Answers POST /now at once, unless the body says that it had better not."""

    paths_at_once = {b"/now": "/now"}

    def __init__(self):
        super().__init__()
        self.may.set()
        self.opened_heads, self.given = [], []

    def opened(self, path, listed):
        self.opened_heads.append((path, dict(listed)))
        return path, dict(listed)

    def at_once(self, requests):
        self.given.append([body for _, body in requests])
        return [
            None if body.startswith(b"later") else b"<at once %d>" % len(body)
            for _, body in requests
        ]


def connected(app, seconds=5.0, kind=None):
    config = Config(app, ws="none", log_level="critical", lifespan="off")
    at_once = app if isinstance(app, EchoAtOnce) else None
    connection = (kind or guarded(seconds, at_once))(config, ServerState(), {})
    transport = Transport()
    connection.connection_made(transport)
    return connection, transport


async def settled(condition):
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


def run(test):
    asyncio.run(asyncio.wait_for(test(), 60))


def test_what_is_pipelined_waits_as_bytes_and_is_answered():
    async def test():
        app = Echo()
        connection, transport = connected(app)
        for _ in range(100):
            # More than 5,000 requests in each read; the system would read on while it may.
            if not transport.reads:
                break
            connection.data_received(GET * 5000)
            await asyncio.sleep(0)
        assert not transport.reads
        assert len(connection.pipeline) < 300
        assert app.seen == 1
        app.may.set()
        await settled(lambda: transport.sent.count(b"</a 0>") >= 5000)
        assert len(connection.pipeline) < 300
        await settled(lambda: transport.reads)
        assert transport.sent.count(b"HTTP/1.1 200") == app.seen
        assert not transport.closed

    run(test)


@pytest.mark.parametrize("cut", [1, 7, 100, 8191, 8192, 8193])
def test_requests_are_the_same_in_any_pieces(cut):
    async def test():
        app = Echo()
        app.may.set()
        connection, transport = connected(app)
        post = (
            b"POST /b HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20000\r\n\r\n" + b"x" * 20000
        )
        whole = GET + post + GET * 300 + post
        for place in range(0, len(whole), cut):
            connection.data_received(whole[place : place + cut])
            while not transport.reads:
                await asyncio.sleep(0)
        await settled(lambda: transport.sent.count(b"HTTP/1.1 200") == 303)
        bodies = [one.partition(b">")[0] for one in transport.sent.split(b"<")[1:]]
        assert bodies == [b"/a 0", b"/b 20000", *[b"/a 0"] * 300, b"/b 20000"]

    run(test)


@pytest.mark.parametrize(
    "broken",
    [
        b"nonsense\r\n\r\n",
        b"POST /b HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /b HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n",
        b"GET /b HTTP/1.1\r\na: " + b"b" * 70_000,
        b"GET /" + b"b" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
@pytest.mark.parametrize("before", [0, 1, 3])
def test_what_is_no_http_is_answered_after_the_requests_before_it(broken, before):
    async def test():
        app = Echo()
        connection, transport = connected(app)
        connection.data_received(GET * before + broken + GET)
        await asyncio.sleep(0.05)
        if before:
            assert not transport.sent
        app.may.set()
        await settled(lambda: transport.closed)
        codes = [one[:3] for one in transport.sent.split(b"HTTP/1.1 ")[1:]]
        assert codes == [b"200"] * before + [b"400"]

    run(test)


def test_rest_of_a_refused_body_is_read_but_not_for_ever():
    async def test():
        app = Echo(reads_bodies=False)
        app.may.set()
        connection, transport = connected(app, seconds=0.3)
        head = b"POST /b HTTP/1.1\r\nhost: localhost\r\ncontent-length: 400000\r\n\r\n"
        connection.data_received(head)
        await settled(lambda: b"</b 0>" in transport.sent)
        connection.data_received(b"x" * 400_000 + GET)
        await settled(lambda: b"</a 0>" in transport.sent)
        assert not transport.closed
        connection.data_received(head + b"x")
        await settled(lambda: transport.closed)

    run(test)


def test_whoever_waits_to_be_asked_for_a_refused_body_is_left():
    async def test():
        app = Echo(reads_bodies=False)
        app.may.set()
        connection, transport = connected(app)
        connection.data_received(
            b"POST /b HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n"
            b"content-length: 9\r\n\r\n"
        )
        await settled(lambda: transport.closed)
        assert b"</b 0>" in transport.sent

    run(test)


def test_trailers_are_not_kept():
    async def test():
        app = Echo()
        connection, _ = connected(app, seconds=0.3)
        connection.data_received(
            b"POST /b HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
        )
        for _ in range(100):
            connection.data_received(b"a: b\r\n" * 1000)
        assert len(connection.headers) == 2

    run(test)


def test_offers_of_another_protocol_are_not_taken():
    async def test():
        app = Echo()
        app.may.set()
        connection, transport = connected(app)
        offer = b"host: localhost\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
        post = b"POST /b HTTP/1.1\r\n" + offer + b"content-length: 3\r\n\r\nabc"
        connection.data_received(post + b"GET /c HTTP/1.1\r\n" + offer + b"\r\n" + post + GET)
        await settled(lambda: b"</a 0>" in transport.sent)
        bodies = [one.partition(b">")[0] for one in transport.sent.split(b"<")[1:]]
        assert bodies == [b"/b 3", b"/c 0", b"/b 3", b"/a 0"]

    run(test)


def test_answers_have_to_be_taken():
    async def test():
        app = Echo()
        app.may.set()
        connection, transport = connected(app, seconds=0.3)
        transport.waiting = 200_000
        connection.data_received(GET)
        connection.pause_writing()
        transport.waiting = 100_000  # some of it is taken, and then no more
        loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        try:
            await settled(lambda: transport.aborted)
            assert loop.time() - began > 0.5
        finally:
            connection.connection_lost(None)  # as the system does then

    run(test)


def test_silence_ends_a_connection():
    async def test():
        app = Echo()
        app.may.set()
        for given in (b"", b"GET", b"\r\n", GET[:-2]):
            connection, transport = connected(app, seconds=0.05)
            connection.data_received(given)
            await settled(lambda transport=transport: transport.closed)
        # An empty line after an answer is no beginning of a request.
        connection, transport = connected(app, seconds=0.05)
        connection.data_received(GET)
        await settled(lambda: b"</a 0>" in transport.sent)
        connection.data_received(b"\r\n")
        await settled(lambda: transport.closed)

    run(test)


def test_what_has_begun_is_answered_before_the_end():
    async def test():
        app = Echo()
        connection, transport = connected(app)
        connection.data_received(GET * 3)
        await asyncio.sleep(0.01)
        connection.shutdown()
        assert not transport.closed
        app.may.set()
        await settled(lambda: transport.closed)
        assert transport.sent.count(b"</a 0>") == 3
        assert b"connection: close" in transport.sent
        idle, transport = connected(app)
        idle.shutdown()
        assert transport.closed

    run(test)


def sending(body, path=b"/now", more=b"", version=b"1.1"):
    head = b"POST %b HTTP/%b\r\nhost: localhost\r\ncontent-length: %d\r\n" % (
        path, version, len(body),
    )  # fmt: skip
    return head + more + b"\r\n" + body


def test_what_has_come_whole_is_answered_without_a_task():
    async def test():
        app = EchoAtOnce()
        connection, other = connected(app)
        for body in (b"", b"abc", b"x" * 100_000):
            other.sent = b""
            connection.data_received(sending(body))
            await settled(lambda: other.sent.endswith(b">"))
            head, _, content = other.sent.partition(b"\r\n\r\n")
            assert content == b"<at once %d>" % len(body)
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"content-type: application/json" in head
            assert b"content-length: %d" % len(content) in head
            assert (app.opened_heads[-1][0], app.given[-1]) == (b"/now", [body])
        assert app.seen == 0
        assert connection.server_state.total_requests == 3
        connection.shutdown()
        assert other.closed

    run(test)


@pytest.mark.parametrize(
    "request_of",
    [
        sending(b"later"),
        sending(b"abc", path=b"/a"),
        sending(b"abc", path=b"/now?a=1"),
        sending(b"abc", more=b"expect: 100-continue\r\n"),
        sending(b"abc", more=b"connection: close\r\n"),
        sending(b"abc", version=b"1.0"),
        GET.replace(b"/a", b"/now"),
        b"POST /now HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_everything_else_is_a_tasks(request_of):
    async def test():
        app = EchoAtOnce()
        connection, other = connected(app)
        connection.data_received(request_of)
        await settled(lambda: other.sent.endswith(b">"))
        assert app.seen == 1
        assert b"at once" not in other.sent
        assert other.sent.count(b"HTTP/1.1 200") == 1

    run(test)


@pytest.mark.parametrize("cut", [1, 30, 70, 72, 100, 20_000])
def test_a_body_that_comes_in_parts_is_a_tasks(cut):
    async def test():
        app, whole = EchoAtOnce(), sending(b"y" * 30_000)
        connection, other = connected(app)
        connection.data_received(whole[:cut])
        await asyncio.sleep(0.02)
        connection.data_received(whole[cut:])
        await settled(lambda: other.sent.endswith(b">"))
        in_headers = cut < whole.index(b"\r\n\r\n")
        assert app.seen == (0 if in_headers else 1)
        assert other.sent.endswith(b"<at once 30000>" if in_headers else b"</now 30000>")

    run(test)


def test_of_what_is_read_at_once_the_first_needs_no_task():
    """Whoever sends many requests does not keep the others waiting; the order stays."""

    async def test():
        app = EchoAtOnce()
        connection, other = connected(app)
        connection.data_received(b"".join(sending(b"x" * size) for size in range(1, 6)))
        await settled(lambda: other.sent.count(b">") == 5)
        answers = [part.rpartition(b"<")[2] for part in other.sent.split(b">")[:-1]]
        assert answers == [b"at once 1", b"/now 2", b"/now 3", b"/now 4", b"/now 5"]
        connection.data_received(sending(b"x" * 6) + b"\x16 nonsense\r\n\r\n")
        assert b"<at once 6>HTTP/1.1 400" in other.sent
        assert other.closed

    run(test)


def test_silence_after_an_answer_at_once_ends_the_connection():
    async def test():
        app = EchoAtOnce()
        connection, other = connected(app, seconds=0.2)
        assert connection.timeout_keep_alive == 5
        for _ in range(3):  # longer than the time that headers have
            connection.data_received(sending(b"x"))
            await asyncio.sleep(0.3)
        assert not other.closed
        assert other.sent.count(b"<at once") == 3
        began = asyncio.get_running_loop().time()
        connection.data_received(sending(b"x")[:20])  # a request that never comes
        await settled(lambda: other.closed)
        assert asyncio.get_running_loop().time() - began < 4
        connection, other = connected(app, seconds=0.2)
        connection.timeout_keep_alive = 0.3
        for _ in range(2):  # parsed, and known
            connection.data_received(sending(b"x"))
        await settled(lambda: other.closed)
        assert other.sent.count(b"<at once") == 2

    run(test)


def test_an_answer_at_once_has_to_be_taken():
    async def test():
        connection, other = connected(EchoAtOnce(), seconds=0.1)
        other.waiting = 1 << 20
        connection.data_received(sending(b"x"))
        await settled(lambda: other.aborted)

    run(test)
