"""Exchanges of small vectors that come again and again, prepared once: persistent requests."""

from __future__ import annotations

from typing import Any

SMALL = 1 << 16
"""Up to how many bytes it matters how an exchange is begun."""


class RepeatedExchanges:
    """Begins exchanges of vectors with other ranks; one that has come before is prepared.

    ``MPI_Irecv`` and ``MPI_Isend`` take vectors, find out what they are, and make requests of them.
    Where the same two arrays are exchanged in every step, that is done once (``MPI_Recv_init``,
    ``MPI_Send_init``), and a step starts the requests that are there (``MPI_Start``).

    The arrays that were exchanged last are kept alive, two for each other rank and each size.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[int, int], tuple[Any, Any, list[Any]]] = {}

    def begin(self, comm: Any, out: Any, into: Any, other: int, tag: int) -> list[Any]:
        """Return the requests that receive a vector from another rank and send it one.

        They have to be done before the next ones of these ranks and this size begin.

        Args:
            comm: the communicator, always the same.
            out: (n,) what is sent.
            into: (n,) what is received into.
            other: the rank.
            tag: of both messages.
        """
        if out.nbytes > SMALL:
            return [comm.Irecv(into, other, tag), comm.Isend(out, other, tag)]
        key = other, out.nbytes
        last = self._last.get(key)
        if last is None or last[0] is not out or last[1] is not into:
            if last is not None:
                for request in last[2]:
                    request.Free()
            requests = [comm.Recv_init(into, other, tag), comm.Send_init(out, other, tag)]
            last = self._last[key] = out, into, requests
        for request in last[2]:
            request.Start()
        return last[2]
