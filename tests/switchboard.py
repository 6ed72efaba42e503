"""MPI as ranks that survive need it, by one process that passes on what they say to one another.

It is for tests where no MPI goes on when a rank dies. The ranks are real processes, and are really
killed: the switchboard sees that by their sockets, and lets fail what ULFM would.
"""

from __future__ import annotations

import atexit
import pickle
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

FAILED, REVOKED = "MPI_ERR_PROC_FAILED: Process Failure", "MPI_ERR_REVOKED: revoked"


def _send(line: socket.socket, item: Any) -> None:
    data = pickle.dumps(item)
    line.sendall(struct.pack("<q", len(data)) + data)


def _receive(line: socket.socket) -> Any:
    def read(count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = line.recv(count - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data

    return pickle.loads(read(struct.unpack("<q", read(8))[0]))


class Switchboard(threading.Thread):
    """The process in the middle: which calls are open in which communicator, and who is alive.

    A call is (rank, number, communicator, kind, other rank, content).
    """

    def __init__(self, path: Path, ranks: int) -> None:
        super().__init__(daemon=True)
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen(ranks)
        self._ranks = ranks
        self._members = {0: list(range(ranks))}
        self._revoked, self._dead = set[int](), set[int]()
        self._open: list[tuple[Any, ...]] = []
        self._made = dict[Any, int]()

    def run(self) -> None:
        lines = {}
        for _ in range(self._ranks):
            line, _ = self._door.accept()
            lines[_receive(line)] = line
        self._lines = lines
        while len(self._dead) < self._ranks:
            alive = {line: rank for rank, line in lines.items() if rank not in self._dead}
            for line in select.select(list(alive), [], [])[0]:
                rank = alive[line]
                try:
                    self._take((rank, *_receive(line)))
                except OSError:
                    self._dead.add(rank)
            self._settle()
        for line in (self._door, *lines.values()):
            line.close()

    def _take(self, call: tuple[Any, ...]) -> None:
        if call[3] == "revoke":
            self._revoked.add(call[2])
        else:
            self._open.append(call)

    def _answer(self, call: tuple[Any, ...], result: Any, error: str = "") -> None:
        self._open.remove(call)
        try:
            _send(self._lines[call[0]], (call[1], result, error))
        except OSError:
            self._dead.add(call[0])

    def _settle(self) -> None:
        """Answer what can be answered, until nothing more can."""
        before = -1
        while before != len(self._open):
            before = len(self._open)
            for call in list(self._open):
                if call in self._open:
                    self._try(call)

    def _try(self, call: tuple[Any, ...]) -> None:
        rank, _, comm, kind, other, _ = call
        members = self._members[comm]
        if rank in self._dead:
            self._open.remove(call)
            return
        survives = kind in ("agree", "shrink")
        if comm in self._revoked and not survives:
            self._answer(call, None, REVOKED)
            return
        if kind in ("send", "receive"):
            if members[other] in self._dead:
                self._answer(call, None, FAILED)
            elif kind == "receive":
                wanted = (members[other], comm, "send", members.index(rank))
                for sent in self._open:
                    if (sent[0], *sent[2:5]) == wanted:
                        self._answer(call, sent[5])
                        self._answer(sent, None)
                        return
            return
        dead = self._dead & set(members)
        if dead and not survives:
            self._answer(call, None, FAILED)
            return
        wanted_of = [one for one in members if one not in dead]
        found = {one[0]: one for one in self._open if one[2:4] == (comm, kind)}
        if set(found) < set(wanted_of):
            return
        calls = [found[one] for one in wanted_of]
        result: Any = [one[5] for one in calls]
        if kind == "agree":
            result = all(result)
        elif kind in ("shrink", "dup"):
            number = len(self._members)
            self._members[number] = wanted_of
            result = (number, wanted_of)
        for one in calls:
            self._answer(one, result, FAILED if kind == "agree" and dead else "")


class SwitchedError(Exception):
    """What a call raises in the place of ``MPI.Exception``."""


class _Call:
    def __init__(self, line: SwitchedLine, number: int, done: Any) -> None:
        self._line, self._number, self._done = line, number, done
        self._over = False

    def Test(self) -> bool:
        if self._over:
            return True
        result, error = self._line.answer(self._number)
        if error is None:
            return False
        self._over = True
        if error:
            raise SwitchedError(error)
        if self._done is not None:
            self._done(result)
        return True


class SwitchedLine:
    """The line of one rank to the switchboard."""

    def __init__(self, path: str, rank: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        atexit.register(self._socket.close)
        _send(self._socket, rank)
        self.rank, self._number = rank, 0
        self._answers = dict[int, tuple[Any, str]]()

    def call(self, comm: int, kind: str, other: int, content: Any, done: Any = None) -> _Call:
        self._number += 1
        _send(self._socket, (self._number, comm, kind, other, content))
        return _Call(self, self._number, done)

    def answer(self, number: int) -> tuple[Any, str | None]:
        while number not in self._answers and select.select([self._socket], [], [], 0.0)[0]:
            which, result, error = _receive(self._socket)
            self._answers[which] = result, error
        return self._answers.pop(number, (None, None))  # type: ignore[return-value]


def _bytes(array: Any) -> Any:
    return (array[0] if isinstance(array, tuple) else array).reshape(-1).view(np.uint8)


class SwitchedComm:
    """A communicator of the switchboard."""

    def __init__(self, line: SwitchedLine, number: int, members: list[int]) -> None:
        self._line, self._number, self._members = line, number, members
        self.rank, self.size = members.index(line.rank), len(members)

    def _call(self, kind: str, other: int, content: Any, done: Any = None) -> _Call:
        return self._line.call(self._number, kind, other, content, done)

    def _wait(self, kind: str) -> SwitchedComm:
        found: list[Any] = []
        request = self._call(kind, 0, None, found.append)
        while not request.Test():
            time.sleep(1e-3)
        return SwitchedComm(self._line, *found[0])

    def Isend(self, array: Any, to: int, tag: int) -> _Call:
        return self._call("send", to, _bytes(array).tobytes())

    def Irecv(self, array: Any, source: int, tag: int) -> _Call:
        def fill(data: bytes) -> None:
            _bytes(array)[:] = np.frombuffer(data, np.uint8)

        return self._call("receive", source, None, fill)

    def Iallgather(self, mine: Any, into: Any) -> _Call:
        def fill(parts: list[bytes]) -> None:
            _bytes(into)[:] = np.frombuffer(b"".join(parts), np.uint8)

        return self._call("gather", 0, _bytes(mine).tobytes(), fill)

    Iallgatherv = Iallgather

    def Iagree(self, flag: Any) -> _Call:
        def fill(fine: bool) -> None:
            flag[0] = fine

        return self._call("agree", 0, bool(flag[0]), fill)

    def Dup(self) -> SwitchedComm:
        return self._wait("dup")

    def Shrink(self) -> SwitchedComm:
        return self._wait("shrink")

    def Idup(self) -> tuple[Any, _Call]:
        return self, self._call("gather", 0, b"")

    def Iprobe(self, *_: Any) -> bool:
        return False

    def Revoke(self) -> None:
        self._call("revoke", 0, None)

    def Get_group(self) -> list[int]:
        return self._members

    def Abort(self, code: int) -> None:
        """Leave: the others see it as a death."""


def switched_mpi(path: str, rank: int, ranks: int) -> Any:
    """Return what ``World`` takes of ``mpi4py.MPI``, on a line to a switchboard."""
    whole = SwitchedComm(SwitchedLine(path, rank), 0, list(range(ranks)))
    return SimpleNamespace(
        COMM_WORLD=whole,
        Exception=SwitchedError,
        ANY_SOURCE=-1,
        UNSIGNED_CHAR=None,
        Status=lambda: None,
        Get_processor_name=lambda: "here",
        Get_library_version=lambda: "Open MPI, played by a switchboard",
        Group=SimpleNamespace(Translate_ranks=lambda new, _, old: [old.index(one) for one in new]),
    )


def switched_job(
    ranks: int, command: list[str], folder: Path, environment: dict[str, str], limit: float
) -> tuple[list[int], str]:
    """Run processes that talk through a switchboard; return their exit codes, and what they say."""
    path = folder / "switchboard"
    board = Switchboard(path, ranks)
    board.start()
    more = {"OMPI_MCA_mpi_ft_enable": "1", "SWITCHBOARD": str(path), "SWITCHED_RANKS": str(ranks)}
    jobs = [
        subprocess.Popen(
            [sys.executable, *command], stderr=subprocess.PIPE, text=True,
            env={**environment, **more, "SWITCHED_RANK": str(rank)},
        )
        for rank in range(ranks)
    ]  # fmt: skip
    try:
        said = [job.communicate(timeout=limit)[1] for job in jobs]
    finally:
        for job in jobs:
            job.kill()
        board.join(10.0)
    return [job.returncode for job in jobs], "".join(said)
