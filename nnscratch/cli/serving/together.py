"""Requests that are answered without a task of their own, those that come together at once."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any, Protocol

Headers = list[tuple[bytes, bytes]]
_MOST_KNOWN, _LONGEST_KNOWN = 64, 1 << 10
"""Heads of requests that are known, and the bytes of each."""
_MOST_TOGETHER = 16
"""Requests that are answered at once, before other connections have their turn."""


class AnsweringAtOnce(Protocol):
    """An application that answers some requests without a task, and all of them as ASGI does."""

    paths_at_once: dict[bytes, str]

    def opened(self, path: bytes, headers: Headers) -> Any:
        """Return what a request's head asks for, None if it cannot be answered at once."""

    def at_once(self, requests: Sequence[tuple[Any, bytes]]) -> list[bytes | None]:
        """Answer requests, each given by what was opened and its body.

        Returns:
            For each of them the JSON of an answer with the status 200, None for any other one.
        """


class Asking(Protocol):
    """A connection on which requests come that are answered at once."""

    loop: Any
    server_state: Any

    def answered(self, data: bytes, answer: bytes | None) -> None:
        """Called with the answer to a request, None if it was not answered."""


_LENGTH = re.compile(rb"\r\ncontent-length: ?(0|[1-9][0-9]{0,8})\r\n", re.IGNORECASE).search
"""Finds the length of the body in a head, as it is usually written."""


def split_head(data: bytes) -> tuple[bytes, int, int] | None:
    r"""Return a request's head without the body's length, where it ends, and where the body ends.

    None if there is no whole head, or no length in it.

    >>> split_head(b"POST /a HTTP/1.1\r\nContent-Length: 2\r\nA: b\r\n\r\n[]")
    (b'POST /a HTTP/1.1\r\nContent-Length: \r\nA: b\r\n\r\n', 45, 47)
    """
    end = data.find(b"\r\n\r\n") + 4
    told = _LENGTH(data, 0, end)
    if told is None:
        return None
    first, last = told.span(1)
    return data[:first] + data[last:end], end, end + int(data[first:last])


class RequestsTogether:
    """Answers requests at once, without a task, where an application can.

    - A program sends the same bytes before each body, but for its length. Where these were parsed
      once and answered at once, they are not parsed again.
    - Such requests are answered when the event loop has read what there is on other connections,
      all in one call: what has to be done once for all of them, or what brings the weights into
      the processor's caches, is shared.

    Args:
        application: what answers.

    Attributes:
        known: what the application made of heads, by their bytes without the length.
    """

    def __init__(self, application: AnsweringAtOnce) -> None:
        self.application = application
        self.known: dict[bytes, Any] = {}
        self._waiting: list[tuple[Asking, Any, bytes, int]] = []
        self._headers: Any = None  # those that the server gives to every answer,
        self._head = b""  # and an answer's beginning with them

    def take(self, connection: Asking, data: bytes) -> bool:
        """Take what came on a connection, if it is one whole request with a known head.

        The connection is told the answer soon.
        """
        found = split_head(data)
        if found is None or len(data) != found[2]:
            return False
        opened = self.known.get(found[0])
        if opened is None:
            return False
        self._waiting.append((connection, opened, data, found[1]))
        if len(self._waiting) == 1:
            connection.loop.call_soon(self.answer)
        elif len(self._waiting) >= _MOST_TOGETHER:
            self.answer()
        return True

    def answer(self) -> None:
        """Answer all that wait."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            found = self.application.at_once([(one[1], one[2][one[3] :]) for one in waiting])
        except Exception as error:  # none may wait for ever
            print(f"nnscratch: {type(error).__name__}: {error}", file=sys.stderr)
            found = [None] * len(waiting)
        for (connection, _, data, _), content in zip(waiting, found, strict=True):
            answer = None if content is None else self._whole(connection, content)
            connection.answered(data, answer)

    def answer_first(
        self, connection: Asking, url: bytes, headers: Headers, body: bytes, whole: bytes
    ) -> bytes | None:
        """Return the answer to a request that was parsed, None if it is not answered at once.

        Args:
            connection: on which it came.
            url: what it asks for.
            headers: its headers.
            body: its body.
            whole: what was read. If that is the request and nothing else, its head is known then.
        """
        opened = self.application.opened(url, headers)
        if opened is None:
            return None
        content = self.application.at_once([(opened, body)])[0]
        if content is None:
            return None
        found = split_head(whole)
        if found and found[1] <= _LONGEST_KNOWN and len(whole) == found[2]:
            if len(self.known) >= _MOST_KNOWN:
                self.known.clear()
            self.known[found[0]] = opened
        return self._whole(connection, content)

    def _whole(self, connection: Asking, content: bytes) -> bytes:
        """Return an answer with its head."""
        headers = connection.server_state.default_headers  # another list every second
        if headers is not self._headers:
            lines = b"".join(b"%b: %b\r\n" % one for one in headers)
            self._headers = headers
            self._head = b"HTTP/1.1 200 OK\r\n%bcontent-type: application/json\r\n" % lines
        return b"%bcontent-length: %d\r\n\r\n%b" % (self._head, len(content), content)
