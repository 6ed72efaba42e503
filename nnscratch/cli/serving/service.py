"""The server: limits, tokens, routes and figures around a run that answers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from nnscratch.cli.serving import inference
from nnscratch.cli.serving.answering import RunAnswers, encode
from nnscratch.cli.serving.asking import Answered, Ask, inferring, predicting, refuse_twice
from nnscratch.cli.serving.computing import RequestQueue
from nnscratch.cli.serving.describing import described
from nnscratch.cli.serving.figures import ServiceFigures
from nnscratch.cli.serving.page import page
from nnscratch.cli.serving.reading import BadRequestError, ReadRows

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Endpoint = Callable[[Request], Awaitable[Response]]
Opened = tuple[str, Ask]
"""A request's route, and what reads its body."""
_JSON = (b"content-type", b"application/json")


@dataclass(frozen=True)
class ServiceLimits:
    """What a request may take.

    Args:
        body: bytes of a body.
        rows: rows in a request.
        seconds: for a body to arrive, and for a request to wait for its turn.
        waiting: requests that wait for their turn.
    """

    body: int = 16 << 20
    rows: int = 10_000
    seconds: float = 30.0
    waiting: int = 256


@dataclass(slots=True)
class _Taken:
    """A request that is answered together with others: its place among them, and what it asks."""

    place: int
    route: str
    read: ReadRows
    answer: Callable[[Any], Answered]

    @property
    def rows(self) -> int:
        return len(self.read.features)


class _CutOffError(Exception):
    """The other side has gone."""


class PredictionService:
    """An ASGI application that answers with the predictions of a run.

    Args:
        run: what answers.
        limits: what a request may take.
        tokens: who may ask; nobody is asked for one if there are none.
        local: whether only this machine reaches the server, so that pages of other hosts' names
            are refused.
    """

    def __init__(
        self,
        run: RunAnswers,
        limits: ServiceLimits | None = None,
        tokens: tuple[str, ...] = (),
        local: bool = True,
    ) -> None:
        self.run = run
        self.limits = limits or ServiceLimits()
        self.figures = ServiceFigures()
        self.stopping = False
        self.queue = RequestQueue(
            run.compute, run.compute.seconds, self.limits.waiting, self.limits.seconds
        )
        self._local = local
        self._tokens = [hashlib.sha256(one.encode()).digest() for one in tokens]
        model = f"/v2/models/{run.name}"
        infer = inferring(run, self.limits.rows)
        self._posts = {"/predict": predicting(run, self.limits.rows), f"{model}/infer": infer}
        self._posts[f"{model}/versions/1/infer"] = infer
        # By the bytes of a request's first line, where these are the path itself.
        self.paths_at_once = {path.encode(): path for path in self._posts if quote(path) == path}
        self._open = {"/healthz", "/v2/health/live", "/v2/health/ready"}
        fixed = {
            "/v2": {
                "name": "nnscratch",
                "version": _version(),
                "extensions": ["binary_tensor_data"],
            },
            "/v2/health/live": {"live": True},
            model: inference.metadata(run),
            f"{model}/versions/1": inference.metadata(run),
            f"{model}/ready": {"name": run.name, "ready": True},
            f"{model}/versions/1/ready": {"name": run.name, "ready": True},
            "/openapi.json": described(run, self.limits, bool(tokens)),
        }
        endpoints: dict[str, Endpoint] = {
            path: _fixed(encode(value)) for path, value in fixed.items()
        }
        endpoints |= {"/": self._page, "/healthz": self._health, "/metrics": self._metrics}
        endpoints["/v2/health/ready"] = self._health
        # By their whole paths: a name may have the braces in it that a pattern has.
        self._gets = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._live(receive, send)
            return
        began = time.perf_counter()
        path = scope["path"]
        post = self._posts.get(path)
        get = self._gets.get(path)
        route = "other" if post is None and get is None else path
        more: tuple[tuple[bytes, bytes], ...] = ()
        try:
            headers = dict(scope["headers"])
            if len(headers) != len(scope["headers"]):
                refuse_twice([name for name, _ in scope["headers"]])
            self._admit(path, headers)
            if get is not None:
                if scope["method"] not in ("GET", "HEAD"):
                    raise BadRequestError(405, f"{path} takes GET", allow="GET, HEAD")
                await self._get(get, scope, receive, send, route, began)
                return
            if post is None:
                raise BadRequestError(
                    404, "there is nothing here; /openapi.json says what there is"
                )
            if scope["method"] != "POST":
                raise BadRequestError(405, f"{path} takes POST", allow="POST")
            body = await self._body(headers, receive)
            read, answer = post(headers, scope["query_string"])(body)
            found = answer(await self._outputs(read))
            content, status, more = found.content, found.status, found.headers
            self._count_rows(read, found)
        except BadRequestError as error:
            status, content = error.status, encode({"error": error.reason})
            more = tuple((k.encode(), v.encode()) for k, v in error.headers.items())
            if status == 408:
                # What is left of the body is not waited for.
                more += ((b"connection", b"close"),)
        except _CutOffError:
            self.figures.count(route, 499, time.perf_counter() - began)
            return
        except asyncio.CancelledError:
            raise
        except Exception as error:
            print(f"nnscratch: {type(error).__name__}: {error}", file=sys.stderr)
            status, content = 500, encode({"error": "the server failed at this request"})
        self.figures.count(route, status, time.perf_counter() - began)
        length = (b"content-length", str(len(content)).encode())
        kind = () if any(name == b"content-type" for name, _ in more) else (_JSON,)
        await send(
            {"type": "http.response.start", "status": status, "headers": [*kind, length, *more]}
        )
        await send({"type": "http.response.body", "body": content})

    def _admit(self, path: str, headers: dict[bytes, bytes]) -> None:
        """Refuse a request for its headers.

        Raises:
            BadRequestError: with the reason.
        """
        if self._local:
            # A page of another name that is led to this address must not ask in a user's place.
            host = headers.get(b"host", b"localhost").decode("latin-1")
            name = host if host.endswith("]") else host.rpartition(":")[0] or host
            usual = name in ("127.0.0.1", "localhost")
            if not usual and name.lower() != "localhost" and not is_loopback(name):
                raise BadRequestError(421, f"this server is for this machine, not for {host[:80]}")
        if self._tokens and path not in self._open and path != "/":
            given = headers.get(b"authorization", b"")
            kind, _, token = given.partition(b" ")
            digest = hashlib.sha256(token.strip()).digest()
            # All are compared, so that the time says nothing.
            found = [hmac.compare_digest(digest, one) for one in self._tokens]
            if kind.lower() != b"bearer" or not any(found):
                raise BadRequestError(
                    401, "a token is needed: Authorization: Bearer TOKEN",
                    **{"www-authenticate": "Bearer"},
                )  # fmt: skip

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Return the body of a request.

        Raises:
            BadRequestError: if it is too long, too slow or compressed.
        """
        packed = headers.get(b"content-encoding", b"identity").strip().lower()
        if packed not in (b"", b"identity"):
            raise BadRequestError(
                415, "bodies are taken as they are, not compressed: leave Content-Encoding out"
            )
        if headers.get(b"transfer-encoding", b"chunked").strip().lower() != b"chunked":
            raise BadRequestError(415, "the only Transfer-Encoding that is taken is chunked")
        most = self.limits.body
        told = headers.get(b"content-length", b"0")
        if told.isdigit() and int(told[:20]) > most:
            raise BadRequestError(413, f"the body is larger than {most:,} bytes")
        whole = b""
        more: bytearray | None = None
        try:
            async with asyncio.timeout(self.limits.seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _CutOffError
                    part = message.get("body", b"")
                    if len(part) + len(whole if more is None else more) > most:
                        raise BadRequestError(413, f"the body is larger than {most:,} bytes")
                    if more is not None:
                        more += part
                    elif whole:
                        more = bytearray(whole + part)
                    else:
                        whole = part
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise BadRequestError(
                408, f"the body did not arrive within {self.limits.seconds:g} s"
            ) from None
        return whole if more is None else bytes(more)

    def opened(self, path: bytes, listed: list[tuple[bytes, bytes]]) -> Opened | None:
        """Return what the head of a POST asks for, None if the request needs a task.

        Args:
            path: one of ``paths_at_once``.
            listed: the headers.
        """
        headers = dict(listed)
        if len(headers) < len(listed):
            return None
        if b"content-encoding" in headers or b"transfer-encoding" in headers:
            return None
        route = self.paths_at_once[path]
        try:
            self._admit(route, headers)
            return route, self._posts[route](headers, b"")
        except BadRequestError:
            return None

    def at_once(self, requests: Sequence[tuple[Opened, bytes]]) -> list[bytes | None]:
        """Answer POSTs without tasks, where all is well with them and they take no time.

        Those that have come together are computed together.

        Args:
            requests: what ``opened`` returned, and the body, whole.

        Returns:
            For each the body of the answer, which is JSON with the status 200; None for everything
            else, errors among them: ``__call__`` answers that, for each request alone.
        """
        answers: list[bytes | None] = [None] * len(requests)
        if self.stopping:
            return answers
        began = time.perf_counter()
        group: list[_Taken] = []
        for place, ((route, ask), body) in enumerate(requests):
            if len(body) > self.limits.body:
                continue
            try:
                read, answer = ask(body)
            except Exception:
                continue
            if read.errors or not self.queue.quick(len(read.features)):
                continue
            if group and not self.queue.quick(sum(one.rows for one in group) + len(read.features)):
                self._answer_group(group, answers, began)
                group = []
            group.append(_Taken(place, route, read, answer))
        if group:
            self._answer_group(group, answers, began)
        return answers

    def _answer_group(self, group: list[_Taken], answers: list[bytes | None], began: float) -> None:
        """Compute some requests together, and put their answers into their places."""
        features = [one.read.features for one in group]
        try:
            outputs = self.queue.now(features[0] if len(group) == 1 else np.concatenate(features))
        except Exception:  # of one of them, perhaps
            return
        start = 0
        for one in group:
            start, first = start + one.rows, start
            try:
                found = one.answer(outputs[first:start])
            except Exception:
                continue
            if found.status == 200 and not found.headers:
                answers[one.place] = found.content
                self._count_rows(one.read, found)
                self.figures.count(one.route, 200, time.perf_counter() - began)

    def _count_rows(self, read: ReadRows, found: Answered) -> None:
        self.figures.rows += read.count
        self.figures.wrong_rows += found.wrong

    async def _outputs(self, read: ReadRows) -> Any:
        if not len(read.features):
            return np.zeros((0, 1), np.float32)
        if self.queue.quick(len(read.features)):
            return self.queue.now(read.features)
        return await self.queue.later(read.features)

    async def _get(
        self, get: Endpoint, scope: Scope, receive: Receive, send: Send, route: str, began: float
    ) -> None:
        status = 500

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        response = await get(Request(scope, receive))
        await response(scope, receive, noting)
        self.figures.count(route, status, time.perf_counter() - began)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.stopping = True
        self.queue.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _page(self, request: Request) -> Response:
        policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        policy += "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        headers = {"content-security-policy": policy, "x-content-type-options": "nosniff"}
        return HTMLResponse(page(self.run, bool(self._tokens)), headers=headers)

    async def _health(self, request: Request) -> Response:
        state = "stopping" if self.stopping else "ok"
        content = encode({"status": state, "model": self.run.name})
        return Response(content, 503 if self.stopping else 200, media_type="application/json")

    async def _metrics(self, request: Request) -> Response:
        text = self.figures.text(self.queue.waiting)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _fixed(content: bytes) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return Response(content, media_type="application/json")

    return endpoint


def is_loopback(host: str) -> bool:
    """Say whether an address is one at which only this machine is reached."""
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _version() -> str:
    from nnscratch import __version__

    return __version__
