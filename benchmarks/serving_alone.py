"""Uvicorn alone, beside ours in the load test ``benchmarks.serving``, which runs this file.

    python benchmarks/serving_alone.py PORT

It reads the body and answers the same bytes always: what a server in Python costs before it does
anything.
"""

from __future__ import annotations

import sys
from typing import Any

_ANSWER = b'{"model":"run","predictions":[{"prediction":3,"probability":0.912345678901}]}'


async def always(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request with the same bytes, once its body is there."""
    if scope["type"] != "http":
        return
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    length = (b"content-length", str(len(_ANSWER)).encode())
    kind = (b"content-type", b"application/json")
    await send({"type": "http.response.start", "status": 200, "headers": [kind, length]})
    await send({"type": "http.response.body", "body": _ANSWER})


def serve_alone(port: int) -> None:
    import uvicorn

    uvicorn.run(
        always, port=port, log_level="error", access_log=False, http="httptools", lifespan="off",
        proxy_headers=False, server_header=False, loop="asyncio",
    )  # fmt: skip


if __name__ == "__main__":
    serve_alone(int(sys.argv[1]))
