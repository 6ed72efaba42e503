"""NCCL as CuPy has it, played by MPI on the memory of a GPU that the CPU plays.

Signatures, numbers of types and operations, and what is refused are those of CuPy's
``cupy_backends/cuda/libs/nccl.pyx`` and of ``nccl.h``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

available = True
NCCL_SUM, NCCL_FLOAT32, NCCL_FLOAT64 = 0, 7, 8
_TYPES = {NCCL_FLOAT32: np.float32, NCCL_FLOAT64: np.float64}
calls: list[tuple[Any, ...]] = []
"""What was asked for, in order: the name, and the arguments without addresses."""
_group: list[Any] | None = None


class NcclError(RuntimeError):
    """An error of NCCL."""


def get_version() -> int:
    return 22703


def get_unique_id() -> tuple[int, ...]:
    return tuple(range(-64, 64))


def groupStart() -> None:
    global _group
    assert _group is None
    _group = []


def groupEnd() -> None:
    global _group
    assert _group is not None
    begun = [(begin(), end) for begin, end in _group]
    _group = None
    for request, end in begun:
        request.Wait()
        end()


class NcclCommunicator:
    """The communicator of one rank."""

    def __init__(self, ndev: int, commId: tuple[int, ...], rank: int) -> None:
        from mpi4py import MPI

        assert len(commId) == 128
        assert commId == get_unique_id()
        self._comm = MPI.COMM_WORLD.Dup()
        assert (ndev, rank) == (self._comm.size, self._comm.rank)
        calls.append(("init", ndev, rank))

    def _copy(self, place: int, count: int, datatype: int, stream: int, new: Any = None) -> Any:
        """Return what lies at a place of the GPU, or write there."""
        import cupy

        runtime = cupy.cuda.runtime
        assert all(type(one) is int for one in (place, count, datatype, stream))
        assert stream == cupy.cuda.get_current_stream().ptr
        assert runtime.pointerGetAttributes(place).device == cupy.cuda.Device().id
        # What the stream has to do before comes first.
        runtime.streamSynchronize(stream)
        array = np.empty(count, _TYPES[datatype]) if new is None else new
        if new is None:
            runtime.memcpy(array.ctypes.data, place, array.nbytes, runtime.memcpyDeviceToHost)
        else:
            runtime.memcpy(place, array.ctypes.data, array.nbytes, runtime.memcpyHostToDevice)
        return array

    def allReduce(
        self, sendbuf: int, recvbuf: int, count: int, datatype: int, op: int, stream: int
    ) -> None:
        assert op == NCCL_SUM
        calls.append(("allReduce", count, datatype))
        total = self._comm.allreduce(self._copy(sendbuf, count, datatype, stream))
        self._copy(recvbuf, count, datatype, stream, total)

    def send(self, sendbuf: int, count: int, datatype: int, peer: int, stream: int) -> None:
        calls.append(("send", count, datatype, peer))
        array = self._copy(sendbuf, count, datatype, stream)
        self._begin(lambda: self._comm.Isend(array, peer), lambda: None)

    def recv(self, recvbuf: int, count: int, datatype: int, peer: int, stream: int) -> None:
        calls.append(("recv", count, datatype, peer))
        array = np.empty(count, _TYPES[datatype])
        self._begin(
            lambda: self._comm.Irecv(array, peer),
            lambda: self._copy(recvbuf, count, datatype, stream, array),
        )

    def _begin(self, begin: Any, end: Any) -> None:
        if _group is None:
            begin().Wait()
            end()
        else:
            _group.append((begin, end))

    def check_async_error(self) -> None:
        calls.append(("check_async_error",))

    def abort(self) -> None:
        calls.append(("abort",))
