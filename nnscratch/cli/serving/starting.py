"""Starting the server, and stopping it."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import replace
from typing import Any

from nnscratch.cli import runs
from nnscratch.cli.shown import shown
from nnscratch.errors import ConfigurationError
from nnscratch.settings import set_num_threads

_LEAST_TOKEN = 16
_MOST_TOKENS = 1 << 20


def serve_run(
    run: str, host: str, port: int, threads: int, *, name: str | None, token_file: str | None,
    **limits: Any,
) -> None:  # fmt: skip
    """Answer requests until the process is told to stop.

    Args:
        run: the run folder.
        host: the address to listen at.
        port: likewise; 0 takes a free one.
        threads: how many compute one request.
        name: what the model is called; by default as the folder.
        token_file: a file with a token a line, of which every request has to have one.
        limits: those of ``ServiceLimits`` that are not the usual ones.

    Raises:
        NNScratchError: whatever is to be mended.
    """
    try:
        import uvicorn

        from nnscratch.cli.serving.answering import RunAnswers
        from nnscratch.cli.serving.connection import guarded
        from nnscratch.cli.serving.service import PredictionService, ServiceLimits, is_loopback
    except ImportError as error:
        if (error.name or "").startswith("nnscratch"):
            raise
        raise ConfigurationError(
            f'the server needs {error.name}, which is not installed: pip install "nnscratch[serve]"'
        ) from None
    tokens = () if token_file is None else read_tokens(token_file)
    known = replace(ServiceLimits(), **{k: v for k, v in limits.items() if v is not None})
    found = runs.open_run(run)
    set_num_threads(threads)
    listening = _listening(host, port)
    try:
        local = host.lower() == "localhost" or is_loopback(host)
        answers = RunAnswers(found, name)
        service = PredictionService(answers, known, tokens, local)
        shown_host = f"[{host}]" if ":" in host else host
        place = f"http://{shown_host}:{listening.getsockname()[1]}"
        most = answers.compute.blocks[0]
        computed = "one by one" if most == 1 else f"in up to {most}s"
        took = f"{1e6 * answers.compute.seconds:,.0f} µs a row, computed {computed}"
        print(shown(f"Serving {answers.name} ({answers.summary}; {took})"))
        if not local and not tokens:
            print(
                shown(f"Everybody who reaches {host} may ask; --token-file FILE asks for a token")
            )
        print(f"{place}/ is a page to try it, POST {place}/predict answers programs", flush=True)
        server = uvicorn.Server(
            uvicorn.Config(
                service,
                http=guarded(known.seconds, service),
                log_level="error",
                access_log=False,
                server_header=False,
                # Nobody is let in by an address, so that no header needs to say another one.
                proxy_headers=False,
                ws="none",
                timeout_keep_alive=max(5, int(known.seconds)),
                timeout_graceful_shutdown=max(1, int(known.seconds)),
                # Beyond these there is 503 at once.
                limit_concurrency=max(1024, 4 * known.waiting),
            )
        )
        _run(server, listening)
    finally:
        listening.close()
    print("Stopped")


def _run(server: Any, listening: socket.socket) -> None:
    """Run until SIGINT or SIGTERM, which let the requests that are there be answered first."""
    # When all is done uvicorn raises the signal again, for whoever was there before.
    before = {kind: signal.signal(kind, _nothing) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=[listening])
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _nothing(number: int, frame: Any) -> None:
    pass


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, proto)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            # From now on requests wait, until the server takes them.
            made.listen(2048)
        except BaseException:
            made.close()
            raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"{host}:{port}: cannot listen there ({reason}); choose another --port, or 0 for a "
            "free one"
        ) from None
    return made


def read_tokens(path: str) -> tuple[str, ...]:
    """Return the tokens of a file, one a line; lines that begin with # are comments.

    Raises:
        ConfigurationError: if it cannot be read, others may read it, or a token is short.
    """
    try:
        # An editor may have put a mark at the beginning, which is no part of the first token.
        with open(path, encoding="utf-8-sig") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MOST_TOKENS + 1)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read ({error})") from None
    if len(text) > _MOST_TOKENS:
        raise ConfigurationError(f"{path}: longer than any list of tokens")
    lines = [line.strip() for line in text.split("\n")]
    if os.name == "posix" and mode & 0o077:
        raise ConfigurationError(
            f"{path}: other users of this machine can read the tokens: chmod 600 {path}"
        )
    tokens = tuple(line for line in lines if line and not line.startswith("#"))
    short = [n for n, one in enumerate(tokens, 1) if len(one) < _LEAST_TOKEN]
    if short or not tokens:
        raise ConfigurationError(
            f"{path}: expected a token of {_LEAST_TOKEN} characters or more in each line"
            + (f", token {short[0]} is shorter" if short else ", there is none")
        )
    return tokens
