"""Connections with limits: of headers, of time, and of what waits in one of them."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nnscratch.cli.serving.together import AnsweringAtOnce, RequestsTogether

_MOST_HEADERS = 100
_MOST_HEADER_BYTES = 1 << 16
_PIECE = 1 << 13
"""Bytes that are parsed at once: what is pipelined in them waits as requests, the rest as bytes."""
_TOO_LARGE = f"At most {_MOST_HEADERS} headers of {_MOST_HEADER_BYTES:,} bytes in all are taken."
_LEAST_TAKEN = 1 << 14
"""Bytes of an answer that the other side has to take in the time that a request has."""


class _HeldFlow(FlowControl):
    """Reading that goes on only while nothing waits to be parsed."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class GuardedConnection(HttpToolsProtocol):
    """A connection that nobody can hold for ever, or fill the memory with.

    - Headers have to arrive in time, and to be few; trailers are not kept.
    - Requests may be sent without waiting for the answers (pipelined). They are parsed in pieces,
      and no further while one waits for the answer of another; no more is read meanwhile.
    - The rest of a body that is not wanted, because the request was refused, is read and thrown
      away, so that whoever still sends it gets the answer; but not for ever.
    - Answers have to be taken.
    - What is no HTTP is answered after the requests before it.
    - A POST whose body has come with it may be answered at once, where nothing waits. A task and
      the messages of ASGI take longer than a small network. Of what is read at once that is the
      first request only, so that other connections have their turn. See ``RequestsTogether``.

    Attributes:
        seconds: for each of these.
        together: what answers at once, for all connections of a server.
    """

    seconds: ClassVar[float] = 30.0
    together: ClassVar[RequestsTogether | None] = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._arriving: asyncio.TimerHandle | None = None  # for headers, or an unwanted body
        self._since: float | None = None  # when waiting for these began,
        self._patience = self.seconds  # and how long it may take
        self._taking: asyncio.TimerHandle | None = None  # for an answer
        self._left = b""  # was read, and is not parsed yet
        self._whole = b""  # what was read last, if all before it had been parsed
        self._plain = b""  # headers that are read again
        self._read = 0  # bytes without the end of the headers
        self._size = self._count = 0  # of the headers that have come
        self._in_headers = self._in_body = self._sending = False
        self._broken: str | None = None  # why nothing more is parsed
        self._body: list[bytes] | None = None  # of a request that may be answered at once
        self._first = True  # whether the next request is the first of what was read
        self._idle = False  # whether the last one was answered at once
        self._taken = False  # whether a request is there that will be answered soon

    # Time

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.flow = self._flow = _HeldFlow(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._left, self._body = b"", None
        for timer in (self._arriving, self._taking):
            if timer is not None:
                timer.cancel()
        self._arriving = self._taking = None
        super().connection_lost(exc)

    @property
    def _answering(self) -> bool:
        """Whether a request waits for its answer."""
        cycle: Any = self.cycle  # none before the first request
        return cycle is not None and not cycle.response_complete

    def _wait(self) -> None:
        if self._since is None:
            self._since = self.loop.time()
            # Between two requests, as long as after an answer by a task.
            self._patience = self.timeout_keep_alive if self._idle else self.seconds
            if self._arriving is None:
                self._arriving = self.loop.call_later(self.seconds, self._late)

    def _arrived(self) -> None:
        # The timer stays, and sees to it when it is due: most requests need none of their own.
        self._since = None

    def _late(self) -> None:
        self._arriving = None
        if self._since is None:
            return
        left = self._since + self._patience - self.loop.time()
        if self._answering:
            left = self.seconds  # the answers before it come first
        if left > 0.0:
            # What is waited for next may have less time than this.
            self._arriving = self.loop.call_later(min(left, self.seconds), self._late)
        else:
            self._close()

    def _close(self) -> None:
        self.transport.close()
        self._watch()

    def pause_writing(self) -> None:
        """Called when much of an answer is not taken."""
        super().pause_writing()
        self._watch()

    def _watch(self) -> None:
        """See to it that the other side takes what is written."""
        if self._taking is None and (size := self.transport.get_write_buffer_size()):
            self._taking = self.loop.call_later(self.seconds, self._watched, size)

    def _watched(self, before: int) -> None:
        self._taking = None
        if self.transport.get_write_buffer_size() > before - _LEAST_TAKEN:
            self.transport.abort()
        else:
            self._watch()

    # Parsing

    def data_received(self, data: bytes) -> None:
        """Parse in pieces, as long as nothing waits."""
        self._answer_taken()
        if self.together is not None and self._nothing_under_way:
            self._taken = True  # the answer may come before this returns
            if self.together.take(self, data):
                return
            self._taken = False
        self._received(data)

    @property
    def _nothing_under_way(self) -> bool:
        """Whether what is read next is the beginning of a request that may be answered now."""
        return not (
            self._left
            or self._in_headers
            or self._in_body
            or self._broken is not None
            or self.timeout_keep_alive_task is not None
            or self.transport.is_closing()
            or not self._free
        )

    def _answer_taken(self) -> None:
        if self._taken and self.together is not None:
            self.together.answer()

    def answered(self, data: bytes, answer: bytes | None) -> None:
        """Called with the answer to a request that was taken, None if there is none."""
        self._taken = False
        if self.transport.is_closing():
            return
        if answer is None:
            self._received(data)
            return
        self._write_at_once(answer)
        self._idle, self._since = True, None
        self._wait()

    def eof_received(self) -> None:
        """Called when the other side sends no more; what it has sent is answered."""
        self._answer_taken()

    def shutdown(self) -> None:
        """Called when the server stops; what has come is answered."""
        self._answer_taken()
        super().shutdown()

    def _received(self, data: bytes) -> None:
        self._whole = data if not self._left else b""
        self._left = self._left + data if self._left else data
        self._first = True
        self._parse()

    def _parse(self) -> None:
        while self._left and not self.pipeline and self._broken is None:
            if self.transport.is_closing():
                self._left = b""
                break
            piece, self._left = self._left[:_PIECE], self._left[_PIECE:]
            self._feed(piece)
            self._read += len(piece)
            if self._in_headers and self._read > _MOST_HEADER_BYTES:
                self.send_400_response(_TOO_LARGE)
        if self._body is not None:
            self._not_at_once()  # the rest of its body has not come
        if not self._answering and self.timeout_keep_alive_task is None:
            self._wait()
        held = bool(self._left) or self._broken is not None
        if held != self._flow.held:
            self._flow.held = held
            if held:
                self.flow.pause_reading()
            else:
                self.flow.resume_reading()

    def _feed(self, piece: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as error:
            # The parser takes a body for what another protocol sends (HTTP/2, which some clients
            # offer in every request). Nothing is upgraded here, so it reads the request again.
            self._left = self._plain + piece[error.args[0] :] + self._left
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, after the answers to the requests before it."""
        if self._broken is not None:
            return
        large = self._in_headers and self._large
        self._broken, self._left = _TOO_LARGE if large else msg, b""
        if self._in_body and self.cycle.response_complete:
            self._close()  # it was refused before, and this was the rest
        elif self._in_body and self.pipeline:
            self.pipeline.popleft()  # it waits itself
        elif self._in_body or not self._answering:
            self._answer_broken()

    def _answer_broken(self) -> None:
        super().send_400_response(self._broken or "")
        self._watch()

    def on_message_begin(self) -> None:
        """Called at the first byte of a request."""
        super().on_message_begin()
        if self._idle:
            self._idle, self._since = False, None
        self._in_headers, self._in_body, self._sending = True, False, False
        self._size = self._count = self._read = 0
        self._wait()

    def on_url(self, url: bytes) -> None:
        """Called with a part of the path."""
        self._size += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called with a header, or with what stands behind a body, which nobody reads."""
        if not self._in_headers:
            return
        self._size += len(name) + len(value)
        self._count += 1
        if self._large:
            raise ValueError(_TOO_LARGE)
        super().on_header(name, value)

    @property
    def _large(self) -> bool:
        return self._count > _MOST_HEADERS or self._size > _MOST_HEADER_BYTES

    def on_headers_complete(self) -> None:
        """Called at the end of the headers."""
        if self.parser.should_upgrade():
            self._plain = self._without_upgrade()
            return
        if self._may_be_at_once():
            self._body = []
        else:
            super().on_headers_complete()
        self._in_headers, self._in_body = False, True
        self._arrived()

    def _may_be_at_once(self) -> bool:
        """Say whether a request, whose headers have come, is of those that need no task."""
        first, self._first = self._first, False
        return (
            first
            and self.together is not None
            and self.url in self.together.application.paths_at_once
            and self._free
            and not self.expect_100_continue
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and any(name == b"content-length" for name, _ in self.headers)
        )

    @property
    def _free(self) -> bool:
        """Whether nothing waits here, and the server takes so many connections."""
        return (
            not self._answering
            and not self.pipeline
            and not self.flow.write_paused
            and len(self.connections) < (self.limit_concurrency or 1 << 30)
        )

    def _not_at_once(self) -> None:
        """Let a task answer a request after all."""
        parts, self._body = self._body or [], None
        super().on_headers_complete()
        for part in parts:
            super().on_body(part)

    def _answer_at_once(self) -> bool:
        """Answer a request whose body is there, or say that this is not done here."""
        assert self.together is not None
        body = b"".join(self._body or ())
        answer = self.together.answer_first(self, self.url, self.headers, body, self._whole)
        if answer is None:
            return False
        self._body, self._idle = None, True
        self._write_at_once(answer)
        return True

    def _write_at_once(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.server_state.total_requests += 1
        self._watch()

    def _without_upgrade(self) -> bytes:
        """Return the headers without the offer of another protocol."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise ValueError("this is no proxy")
        kept = [b"%b: %b\r\n" % one for one in self.headers if one[0] != b"upgrade"]
        first = b"%b %b HTTP/%b\r\n" % (method, self.url, self.parser.get_http_version().encode())
        return b"".join((first, *kept, b"\r\n"))

    def on_body(self, body: bytes) -> None:
        """Called with a part of a body."""
        self._sending = True
        if self._body is not None:
            self._body.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Called at the end of a request."""
        if self._in_headers:
            return  # it is read again
        self._in_body = False
        if self._body is not None:
            if self._answer_at_once():
                return
            self._not_at_once()
        super().on_message_complete()
        if self.cycle.response_complete:
            self._arrived()

    def on_response_complete(self) -> None:
        """Called at the end of an answer."""
        last = not self.pipeline
        unread = self._in_body and last
        # Whoever waits to be asked for a body may leave it out, and go on with another request.
        unasked = unread and self.expect_100_continue and not self._sending
        super().on_response_complete()
        if self.transport.is_closing():
            self._left = b""
            self._watch()
            return
        if self._broken is not None:
            if last:
                self._answer_broken()
            return
        if unasked:
            self._close()
            return
        if unread:
            self._wait()
        self._watch()
        if not self.pipeline:
            self._parse()


def guarded(seconds: float, application: AnsweringAtOnce | None = None) -> type[GuardedConnection]:
    """Return the kind of connection with a time for headers, and with what answers at once."""
    together = None if application is None else RequestsTogether(application)
    options: dict[str, Any] = {"seconds": seconds, "together": together}
    return type("GuardedConnection", (GuardedConnection,), options)
