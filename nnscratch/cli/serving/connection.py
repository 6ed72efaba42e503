"""Connections with limits: of headers, of time, and of what waits in one of them."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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

    Attributes:
        seconds: for each of these.
    """

    seconds: ClassVar[float] = 30.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._arriving: asyncio.TimerHandle | None = None  # for headers, or an unwanted body
        self._taking: asyncio.TimerHandle | None = None  # for an answer
        self._left = b""  # was read, and is not parsed yet
        self._plain = b""  # headers that are read again
        self._read = 0  # bytes without the end of the headers
        self._size = self._count = 0  # of the headers that have come
        self._in_headers = self._in_body = self._sending = False
        self._broken: str | None = None  # why nothing more is parsed

    # Time

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.flow = self._flow = _HeldFlow(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._left = b""
        self._arrived()
        if self._taking is not None:
            self._taking.cancel()
        super().connection_lost(exc)

    @property
    def _answering(self) -> bool:
        """Whether a request waits for its answer."""
        cycle: Any = self.cycle  # none before the first request
        return cycle is not None and not cycle.response_complete

    def _wait(self) -> None:
        if self._arriving is None:
            self._arriving = self.loop.call_later(self.seconds, self._late)

    def _arrived(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _late(self) -> None:
        self._arriving = None
        if self._answering:
            self._wait()  # the answers before it come first
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
        self._left = self._left + data if self._left else data
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
        super().on_headers_complete()
        self._in_headers, self._in_body = False, True
        self._arrived()

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
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called at the end of a request."""
        if self._in_headers:
            return  # it is read again
        self._in_body = False
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


def guarded(seconds: float) -> type[GuardedConnection]:
    """Return the kind of connection with a time for headers."""
    return type("GuardedConnection", (GuardedConnection,), {"seconds": seconds})
