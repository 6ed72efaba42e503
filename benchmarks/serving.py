"""A load test of ``nnscratch serve``: requests a second, and what bad ones do to the others.

    python -m benchmarks.serving [--seconds 10] [--connections 16] [--cores] [--litserve PYTHON]

A server of a 784-128-10 network answers single images, as .npy bodies and as JSON, in turns with
what uvicorn alone does with the same bodies, and with LitServe where PYTHON is one that has it and
onnxruntime. Then malformed, oversized, slow and cut-off requests are mixed in. Each answer is
compared with the one that is right for that very image: none may be lost or belong to another
request. Memory is read before and after. With ``--cores`` each server has the first core, and the
client the others.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_IMAGES = 256
_LARGEST = 100_000


def _request(body: bytes, kind: str = "application/x-npy", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {size}\r\n\r\n".encode() + body


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


class Client:
    """Connections to a server, and what came back on them."""

    def __init__(self, port: int, images: Any, form: str = "npy") -> None:
        self.port = port
        self.images = images
        if form == "npy":
            self.requests = [_request(_npy(one[None])) for one in images]
        else:
            bodies = [json.dumps({"images": [one.tolist()]}).encode() for one in images]
            self.requests = [_request(one, "application/json") for one in bodies]
        self.right: list[bytes] = []
        self.times: list[float] = []
        self.found: Counter[str] = Counter()

    async def learn(self) -> None:
        """Ask for each image alone, on a connection of its own."""
        for request in self.requests:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(request)
            status, body = await _answer(reader)
            assert status == 200, body
            self.right.append(body)
            writer.close()

    async def asking(self, first: int, until: float) -> None:
        """Ask for one image after another on one connection, and compare each answer."""
        loop = asyncio.get_running_loop()
        _, asking = await loop.create_connection(
            lambda: _Asking(self, first, until), "127.0.0.1", self.port
        )
        await asking.done

    def judge(self, place: int, status: int, body: bytes) -> None:
        """Compare an answer with the one that is right for an image."""
        if status != 200:
            self.found[f"refused with {status}"] += 1
        elif body != self.right[place]:
            self.found["crossed or wrong"] += 1
        else:
            self.found["right"] += 1

    async def disturbing(self, kind: str, until: float) -> None:
        """Send requests of a bad kind, one after another."""
        body = _npy(self.images[:1])
        bad = {
            "malformed": _request(b'{"images": [[[1, 2', "application/json"),
            "deep": _request(b'{"images":' + b"[" * 50_000, "application/json"),
            "pickled": _request(b"\x80\x04\x95", "application/x-npy"),
            "truncated": _request(body[:-5]),
            "oversized": _request(b"x" * 1000, length=10**9),
            "slow": _request(body[:50], length=len(body)),
            "cut off": _request(body[:50], length=len(body)),
            "no HTTP": b"\x16\x03\x01 nonsense\r\n\r\n",
        }[kind]
        while time.perf_counter() < until:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(bad)
            try:
                if kind == "cut off":
                    await writer.drain()
                else:
                    async with asyncio.timeout(10.0):
                        status, _ = await _answer(reader)
                    self.found[f"{kind}: {status}"] += 1
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.found[f"{kind}: {type(error).__name__}"] += 1
            writer.close()
            await asyncio.sleep(0.02)


class _Asking(asyncio.Protocol):
    """One connection that asks, by the quickest way that asyncio has: the client is no part of it.

    Args:
        client: whose requests are sent.
        first: the number of the first one.
        until: when it ends.
    """

    def __init__(self, client: Client, first: int, until: float) -> None:
        self.client, self.place, self.until = client, first, until
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.began, self.came, self.ended = 0.0, b"", False
        self.lengths: dict[bytes, int] = {}  # of bodies, by the heads before them

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.place = (self.place + 7) % len(self.client.requests)
        self.began = time.perf_counter()
        self.transport.write(self.client.requests[self.place])

    def data_received(self, data: bytes) -> None:
        self.came = self.came + data if self.came else data
        end = self.came.find(b"\r\n\r\n") + 4
        head = self.came[:end]
        length = self.lengths.get(head)
        if length is None:
            if end < 4:
                return
            told = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            length = self.lengths[head] = int(told[1]) if told else 0
        if len(self.came) < end + length:
            return
        now, body, self.came = time.perf_counter(), self.came[end:], b""
        self.client.times.append(now - self.began)
        self.client.judge(self.place, int(head[9:12]), body)
        if now < self.until:
            self.ask()
        else:
            self.ended = True
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended:
            self.client.found["lost"] += 1
        self.done.set_result(None)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    body = await reader.readexactly(int(length[1])) if length else b""
    return int(head[9:12]), body


def _memory(process: int) -> float:
    """Return a process's resident memory in MB, 0 where the system does not say."""
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = re.search(r"VmRSS:\s+(\d+)", text)
    return int(found[1]) / 1000 if found else 0.0


def _worked(process: int) -> float:
    """Return the seconds of a core that a process and those it started took, 0 if unknown."""
    total = 0.0
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
        taken = text.rpartition(")")[2].split()[11:13]
        total = sum(map(int, taken)) / os.sysconf("SC_CLK_TCK")
        for task in Path(f"/proc/{process}/task").iterdir():
            inside = (task / "children").read_text(encoding="ascii").split()
            total += sum(_worked(int(child)) for child in inside)
    except OSError:
        pass
    return total


def _trained(folder: Path) -> Path:
    from nnscratch.cli import main

    rng = np.random.default_rng(0)
    labels = np.arange(600) % 10
    images = rng.integers(0, 120, (600, 28, 28)).astype(np.uint8)
    images[np.arange(600), labels] += 120
    np.savez(folder / "images.npz", images=images, labels=labels)
    run = folder / "run"
    arguments = ["train", str(folder / "images.npz"), "--model", "mlp", "--hidden", "128"]
    if main([*arguments, "--epochs", "2", "--quiet", "--run", str(run)]):
        raise SystemExit("the training failed")
    return run


def _say(title: str, client: Client, seconds: float, worked: float, grown: str) -> None:
    times = np.sort(np.array(client.times)) * 1e3
    p50, p99 = (float(times[int(share * (len(times) - 1))]) for share in (0.5, 0.99))
    of_core = 1e6 * worked / len(times)
    print(f"{title}: {len(times) / seconds:,.0f} requests a second, p50 {p50:.2f} ms, "
          f"p99 {p99:.2f} ms, {of_core:,.0f} µs of a core each, memory {grown} MB")  # fmt: skip
    for name, count in sorted(client.found.items()):
        print(f"    {name}: {count:,}")


async def _load(
    title: str, client: Client, process: int, seconds: float, connections: int,
    kinds: tuple[str, ...] = (),
) -> bool:  # fmt: skip
    """Send requests for some seconds, print what came, and say whether all of it was right."""
    # The first second is not counted: buffers and arenas grow to their size.
    await asyncio.gather(*(client.asking(n, time.perf_counter() + 1.0) for n in range(connections)))
    client.times.clear()
    client.found.clear()
    before, took, began = _memory(process), _worked(process), time.perf_counter()
    until = began + seconds
    work = [client.asking(n * _IMAGES // connections, until) for n in range(connections)]
    work += [client.disturbing(kind, until) for kind in kinds for _ in range(2)]
    await asyncio.gather(*work)
    passed = time.perf_counter() - began
    grown = f"{before:.0f} -> {_memory(process):.0f}"
    _say(title, client, passed, _worked(process) - took, grown)
    return client.found["right"] == len(client.times) and not client.found["lost"]


async def _measure(servers: dict[str, tuple[int, int]], seconds: float, connections: int) -> bool:
    """Measure servers, given by port and process, in turns; ours is the first."""
    images = np.random.default_rng(1).integers(0, 255, (_IMAGES, 28, 28)).astype(np.uint8)
    fine = True
    for form in ("npy", "json"):
        for _ in range(2):
            for name, (port, process) in servers.items():
                if form == "npy" and name == "LitServe":
                    continue  # it takes JSON and forms
                client = Client(port, images, form)
                await client.learn()
                title = f"{name}, {form}"
                fine &= await _load(title, client, process, seconds, connections)
    port, process = servers["nnscratch"]
    client = Client(port, images)
    await client.learn()
    kinds = ("malformed", "deep", "pickled", "truncated", "oversized", "slow", "cut off", "no HTTP")
    title = "nnscratch, npy, with bad ones mixed in"
    fine &= await _load(title, client, process, seconds, connections, kinds)
    print(json.dumps({"all answers right": fine}))
    return fine


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _ready(port: int) -> None:
    """Wait until somebody listens at a port."""
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.1)
    raise SystemExit(f"nobody listens at port {port}")


@contextlib.contextmanager
def _serving(command: list[str], port: int, cores: bool) -> Iterator[tuple[int, int]]:
    """Start a server, on one core if asked, and yield its port and process."""
    wanted = sorted(os.sched_getaffinity(0)) if cores else []
    # The processes that a server starts are on its core, too.
    pinned = ["taskset", "-c", str(wanted[0])] if cores else []
    own = {"start_new_session": True}
    with subprocess.Popen([*pinned, *command], **own) as server:  # type: ignore[call-overload]
        try:
            _ready(port)
            yield port, server.pid
        finally:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(10)
            with contextlib.suppress(OSError):
                os.killpg(server.pid, signal.SIGKILL)


def main() -> None:
    """Start the servers, measure them, and stop them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--cores", action="store_true")
    parser.add_argument("--litserve", metavar="PYTHON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        run, ports = _trained(Path(folder)), [_free_port() for _ in range(3)]
        command = [sys.executable, "-m", "nnscratch", "serve", str(run), "--port", str(ports[0])]
        command += ["--timeout", "1", "--most-bytes", str(_LARGEST)]
        alone, lit = (
            str(Path(__file__).with_name(f"serving_{name}.py")) for name in ("alone", "lit")
        )
        commands = {
            "nnscratch": command,
            "uvicorn alone": [sys.executable, alone, str(ports[1])],
        }
        if given.litserve:
            model = str(Path(folder, "run.onnx"))
            export = [sys.executable, "-m", "nnscratch", "export", str(run), "--to", "onnx"]
            subprocess.run([*export, "-o", model], check=True)
            commands["LitServe"] = [given.litserve, lit, str(ports[2]), model]
        servers = {
            name: stack.enter_context(_serving(command, port, given.cores))
            for (name, command), port in zip(commands.items(), ports, strict=False)
        }
        if given.cores:
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, cores[1:] or cores)
        fine = asyncio.run(_measure(servers, given.seconds, given.connections))
    if not fine:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
