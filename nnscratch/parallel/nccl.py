"""Sums on GPUs, by NCCL through CuPy: a GPU for each rank, whose processes MPI has started.

MPI hands out the number by which the GPUs find one another, and says before each sum whether all
ranks have come to it. So a rank that is missing is named as on CPUs; NCCL itself would wait for it.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from nnscratch.array.cuda import cupy
from nnscratch.array.device import Device, as_device
from nnscratch.errors import ConfigurationError, DeviceError
from nnscratch.parallel.adding import TreeSum
from nnscratch.parallel.world import World

INSTALL = "pip install nvidia-nccl-cu12 (for CUDA 13 -cu13)"
_SLEEP = 5e-5


def own_device(world: World, device: Any) -> Any:
    """Return the device of a rank: of "cuda" the GPU with its number among those of its machine.

    >>> own_device(World(), "cuda"), own_device(World(), "cpu")
    ('cuda', 'cpu')
    """
    if world.size == 1 or device is None or as_device(device) != Device("cuda"):
        return device
    return as_device("cuda", world.local_rank % int(cupy().cuda.runtime.getDeviceCount()))


class GpuSum:
    """Adds up vectors of all ranks, each on a GPU of its own, on CuPy's current stream.

    Args:
        world: the ranks.
        device: the GPU of this one.
        by_tree: whether the sum is that of ``TreeSum``, whose bits do not depend on how many ranks
            there are; otherwise NCCL chooses the order.

    Raises:
        DeviceError: if two ranks have one GPU, or CuPy has no NCCL.
    """

    def __init__(self, world: World, device: Device, by_tree: bool) -> None:
        self.rank, self.size = world.rank, world.size
        self._world, self._library = world, cupy()
        self._nccl = self._library.cuda.nccl
        world.place = "the start of NCCL"
        found = world.gather((self._nccl.available, world.node, self._bus(device)))
        if not all(available for available, _, _ in found):
            raise DeviceError(
                "several ranks with a model on a GPU need NCCL, which CuPy does not find: "
                f"{INSTALL}, or train on the CPU"
            )
        for rank, (_, *place) in enumerate(found):
            first = next(r for r, (_, *other) in enumerate(found) if other == place)
            if first != rank:
                raise DeviceError(
                    f"rank {first} and rank {rank} are both on {place[1]} of {place[0]}, and NCCL "
                    "needs a GPU for each: start as many ranks as there are GPUs, with "
                    "device='cuda'"
                )
        number = world.from_first(self._nccl.get_unique_id() if world.leads else None)
        # NCCL waits in there for all ranks.
        guard = threading.Timer(
            min(world.deadline, threading.TIMEOUT_MAX), self._end, ("does not start",)
        )
        guard.daemon = True
        guard.start()
        self._comm = self._nccl.NcclCommunicator(world.size, number, world.rank)
        guard.cancel()
        self._tree = TreeSum(self) if by_tree else None

    def _bus(self, device: Device) -> str:
        """Return the address of a GPU in its machine: its number may be another for each rank."""
        return str(self._library.cuda.runtime.deviceGetPCIBusId(device.index or 0))

    def add_up(self, array: Any) -> None:
        """Write the sum of all ranks' vectors into each.

        Args:
            array: (n,) float32 or float64 on the GPU, the same on all ranks.
        """
        self._world.barrier()
        stream = self._library.cuda.get_current_stream()
        try:
            if self._tree is not None:
                self._tree.add_up(array)
            else:
                kind, place = self._kind(array), array.data.ptr
                self._comm.allReduce(
                    place, place, array.size, kind, self._nccl.NCCL_SUM, stream.ptr
                )
            self._wait(stream)
        except self._nccl.NcclError as error:
            self._end(str(error))

    def _kind(self, array: Any) -> int:
        double = array.dtype.itemsize == 8
        return int(self._nccl.NCCL_FLOAT64 if double else self._nccl.NCCL_FLOAT32)

    def exchange(self, out: Any, into: Any, other: int) -> None:
        """Send a vector to another rank, which does the same, and receive its vector."""
        self._nccl.groupStart()
        self.send(out, other)
        self.receive(into, other)
        self._nccl.groupEnd()

    def send(self, array: Any, to: int) -> None:
        """Send a vector to another rank."""
        stream = self._library.cuda.get_current_stream().ptr
        self._comm.send(array.data.ptr, array.size, self._kind(array), to, stream)

    def receive(self, array: Any, source: int) -> None:
        """Receive a vector from another rank."""
        stream = self._library.cuda.get_current_stream().ptr
        self._comm.recv(array.data.ptr, array.size, self._kind(array), source, stream)

    def _wait(self, stream: Any) -> None:
        """Wait until the stream has come here, at most until the deadline."""
        reached = self._library.cuda.Event(disable_timing=True)
        reached.record(stream)
        until = time.monotonic() + self._world.deadline
        while not reached.done:
            self._comm.check_async_error()
            if time.monotonic() > until:
                self._end(f"is not done after {self._world.deadline:g} s")
            time.sleep(_SLEEP)

    def _end(self, reason: str) -> None:
        """Give up what is under way, and end all ranks."""
        print(
            f"nnscratch: the sum by NCCL at {self._world.place}, on rank {self.rank}: {reason}. "
            "Train again with resume, or allow more time with deadline=",
            file=sys.stderr,
        )
        if hasattr(self, "_comm"):
            threading.Thread(target=self._comm.abort, daemon=True).start()
        self._world.leave(1)


def check_on_gpu(divided: bool, rounded: bool) -> None:
    """Check that what is asked for is there on GPUs.

    Args:
        divided: whether the optimizer's state is divided among the ranks.
        rounded: whether gradients are sent as bfloat16.

    Raises:
        ConfigurationError: naming what is for CPUs only.
    """
    for asked, name in ((divided, "shard_optimizer=True"), (rounded, "wire='bfloat16'")):
        if asked:
            raise ConfigurationError(f"{name} is for ranks on CPUs only: leave it out on GPUs")
