"""Connections whose headers have to arrive in time, and to be few."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_BYTES = 1 << 19
"""Of one read the system gives at most half of it, headers and the beginning of a body."""


class GuardedConnection(HttpToolsProtocol):
    """A connection that is closed if the headers of a request do not arrive in time.

    Without it whoever opens connections and sends a byte now and then keeps others out.

    Attributes:
        seconds: for the headers of a request.
    """

    seconds: ClassVar[float] = 30.0
    _timer: asyncio.TimerHandle | None = None
    _read = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def _wait(self) -> None:
        if self._timer is None:
            self._read = 0
            self._timer = self.loop.call_later(self.seconds, self.transport.close)

    def _arrived(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def data_received(self, data: bytes) -> None:
        """Read; headers without an end are not read for ever."""
        if self._timer is not None:
            self._read += len(data)
            if self._read > _MOST_BYTES:
                self.transport.close()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Called at the first byte of a request."""
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        """Called at the end of its headers."""
        self._arrived()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._arrived()
        super().connection_lost(exc)


def guarded(seconds: float) -> type[GuardedConnection]:
    """Return the kind of connection with a time for headers."""
    return type("GuardedConnection", (GuardedConnection,), {"seconds": seconds})
