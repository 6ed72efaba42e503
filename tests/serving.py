"""Calling a server's application in this process, and the runs that it serves."""

from __future__ import annotations

import asyncio
import csv
import io
import json

import numpy as np

from nnscratch.cli import main, runs
from nnscratch.cli.serving.answering import RunAnswers
from nnscratch.cli.serving.service import PredictionService

QUICK = ("--epochs", "2", "--hidden", "16", "--schedule", "constant", "--quiet")
ROW = {"width": 1.0, "colour": "red", "wild": True, "day": "2024-01-31"}


def trees(path, n=120):
    """A table with gaps, categories, booleans and dates."""
    source = np.random.default_rng(0)
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["width", "colour", "wild", "day", "age", "kind"])
        for number in range(n):
            kind = number % 3
            width = "" if number % 17 == 0 else round(kind + source.normal(0, 0.2), 3)
            colour = ("red", "blue", "white [sic]")[(kind + (number > 100)) % 3]
            day = f"2024-0{1 + number % 9}-1{number % 7}"
            age = round(3 * kind + number / 99, 2)
            wild = bool(number % 2)
            rows.writerow([width, colour, wild, day, age, ("oak", "elm", "fir")[kind]])
    return path


def train(folder, *arguments):
    assert main(["train", *map(str, arguments), "--run", str(folder)]) == 0
    return folder


def service(folder, *, name="trees", **options):
    return PredictionService(RunAnswers(runs.open_run(folder), name), **options)


async def called(app, method, path, body=b"", headers=(), parts=None, wait=0.0):
    """The status, headers and body of an answer; ``parts`` are what arrives of a body."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in dict(headers).items()],
        "http_version": "1.1", "scheme": "http", "server": ("localhost", 80), "root_path": "",
        "raw_path": path.encode(),
    }  # fmt: skip
    pieces = list(parts if parts is not None else [body])

    async def receive():
        if wait:
            await asyncio.sleep(wait)
        if not pieces:
            return {"type": "http.disconnect"}
        piece = pieces.pop(0)
        more = bool(pieces) or parts is not None
        return {"type": "http.request", "body": piece, "more_body": more}

    sent = []

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    if not sent:
        return None, {}, b""
    content = b"".join(one.get("body", b"") for one in sent)
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, content


def call(app, method, path, body=b"", headers=(), **more):
    headers = {"content-type": "application/json", **dict(headers)}
    given = body if isinstance(body, bytes) else json.dumps(body).encode()
    return asyncio.run(called(app, method, path, given, headers, **more))


def post(app, body, path="/predict", **more):
    status, _, content = call(app, "POST", path, body, **more)
    return status, json.loads(content)


def npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()
