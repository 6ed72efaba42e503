"""What is asked of the server in a request, and what it is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from nnscratch.cli.serving import binary, inference
from nnscratch.cli.serving.answering import RunAnswers, encode
from nnscratch.cli.serving.reading import BadRequestError, ReadRows, read_npy


@dataclass(frozen=True)
class Answered:
    """An answer.

    Args:
        content: its body.
        status: such as 200.
        wrong: how many rows are.
        headers: its kind, if it is no JSON, and others.
    """

    content: bytes
    status: int = 200
    wrong: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()


Asked = tuple[ReadRows, Callable[[Any], Answered]]
"""The rows of a request, and what makes its answer from their outputs."""
Ask = Callable[[bytes], Asked]
"""What reads the bodies that come behind one head of a request."""
Question = Callable[[dict[bytes, bytes], bytes], Ask]
"""What a route asks, by a request's headers and its query."""
_USUAL = ("application/json", "application/x-npy")
_NPY = ("application/x-npy", "application/octet-stream")
_ONCE = (
    *(b"host", b"authorization", b"content-type", b"content-encoding", b"content-length"),
    binary.LENGTH,
)


def refuse_twice(names: list[bytes]) -> None:
    """Refuse headers that say two things.

    Raises:
        BadRequestError: naming the header.
    """
    for name in _ONCE:
        if names.count(name) > 1:
            raise BadRequestError(400, f"the header {name.decode()} is there twice")


def wants_probabilities(query: bytes) -> bool:
    """Return whether a query asks for the probability of every class.

    Raises:
        BadRequestError: if it says neither true nor false.
    """
    told = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("probabilities", ["false"])
    found = {"true": True, "1": True, "false": False, "0": False}.get(told[-1].lower())
    if found is None:
        raise BadRequestError(400, f"probabilities is true or false, got {told[-1][:40]!r}")
    return found


def predicting(run: RunAnswers, most: int) -> Question:
    """Return what ``/predict`` asks of a run, with at most so many rows in a request."""

    def question(headers: dict[bytes, bytes], query: bytes) -> Ask:
        kind = headers.get(b"content-type", b"application/json").decode("latin-1")
        if kind not in _USUAL:
            kind = kind.partition(";")[0].strip().lower()
        probabilities = bool(query) and wants_probabilities(query)

        def ask(body: bytes) -> Asked:
            if kind in _NPY or body.startswith(b"\x93NUMPY"):
                read = run.reader.from_array(read_npy(body, most))
            elif kind == "application/json":
                read = run.reader.from_json(body, most)
            else:
                raise BadRequestError(
                    415,
                    "expected the Content-Type application/json or application/x-npy, got "
                    f"{kind[:80]}",
                )

            def answer(outputs: Any) -> Answered:
                listed, wrong = run.answer(read, outputs, probabilities)
                content = encode({"model": run.name, "predictions": listed})
                # A row that is wrong says so in its place; if all are, so does the status.
                return Answered(content, 422 if wrong == read.count else 200, wrong)

            return read, answer

        return ask

    return question


def inferring(run: RunAnswers, most: int) -> Question:
    """Return what the Open Inference Protocol asks of a run, likewise."""

    def question(headers: dict[bytes, bytes], query: bytes) -> Ask:
        length = headers.get(binary.LENGTH)

        def ask(body: bytes) -> Asked:
            read, request = inference.read_request(body, run, most, length)

            def answer(outputs: Any) -> Answered:
                found = inference.answer(run, outputs, request)
                content, told = inference.packed(found, inference.wanted_as_bytes(request))
                if told is None:
                    return Answered(content)
                kind = (b"content-type", b"application/octet-stream")
                return Answered(content, headers=(kind, (binary.LENGTH, str(told).encode())))

            return read, answer

        return ask

    return question
