"""A server as a process: connections that are slow, cut off or many, and how it ends."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import re
import signal
import socket
import subprocess
import sys

import pytest
from serving import QUICK, ROW, train, trees

WITHOUT_UVLOOP = """
import sys
sys.modules["uvloop"] = None
from nnscratch.cli import main
sys.exit(main(sys.argv[1:]))
"""
# uvloop is used where it is installed, which is not on Windows.
LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]


@pytest.fixture(scope="module", params=LOOPS)
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    table = trees(folder / "trees.csv")
    run = train(folder / "run", table, "--target", "kind", "--exclude", "age", *QUICK)
    ours = ["-m", "nnscratch"] if request.param == "uvloop" else ["-c", WITHOUT_UVLOOP]
    command = [sys.executable, "-W", "error", *ours, "serve", str(run)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--timeout", "1", "--name", "trees", "--most-bytes", "5000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    found = re.search(r"http://127.0.0.1:(\d+)/predict", lines[1])
    assert found, (lines, process.communicate())
    yield process, int(found[1])
    if process.poll() is None:
        process.kill()
    process.communicate()


BODY = json.dumps({"rows": [ROW]}).encode()


def connected(port):
    made = socket.create_connection(("127.0.0.1", port), timeout=20)
    made.settimeout(20)
    return made


def head(length, path="/predict"):
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def ask(connection, body=BODY):
    connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    return reply.status, json.loads(reply.read())


def test_one_connection_asks_often(server):
    connection = http.client.HTTPConnection("127.0.0.1", server[1], timeout=20)
    first = ask(connection)
    assert first[0] == 200
    assert all(ask(connection) == first for _ in range(20))
    assert ask(connection, b"[")[0] == 400
    assert ask(connection) == first
    connection.close()


def test_pipelined_requests_are_answered_in_order(server):
    other = json.dumps({"rows": [{**ROW, "width": "x"}]}).encode()
    with connected(server[1]) as sock:
        sock.sendall((head(len(BODY)) + BODY + head(len(other)) + other) * 5)
        found, content = [], b""
        while len(found) < 10:
            content += sock.recv(65536)
            found = re.findall(rb"HTTP/1.1 (\d+)", content)
    assert found == [b"200", b"422"] * 5


def test_slow_cut_off_and_broken_requests_are_alone(server):
    connection = http.client.HTTPConnection("127.0.0.1", server[1], timeout=20)
    good = ask(connection)
    with connected(server[1]) as slow, connected(server[1]) as cut, connected(server[1]) as broken:
        slow.sendall(head(100) + b"{")
        cut.sendall(head(100) + b"{")
        cut.close()
        broken.sendall(b"\x00\x01 nonsense\r\n\r\n")
        assert b" 400 " in broken.recv(65536)
        with connected(server[1]) as large:
            large.sendall(head(10**9))
            assert b" 413 " in large.recv(65536)
        assert ask(connection) == good
        assert b" 408 " in slow.recv(65536)
    assert ask(connection) == good
    connection.request("POST", "/predict", b"{", {"content-type": "application/json"})
    response = connection.getresponse()
    assert (response.status, bool(response.read())) == (400, True)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    for status in (200, 400, 408, 413, 499):
        assert re.search(rf'route="/predict",status="{status}"}} \d', text), status
    connection.close()


def test_headers_have_to_arrive(server):
    connection = http.client.HTTPConnection("127.0.0.1", server[1], timeout=20)
    good = ask(connection)
    with connected(server[1]) as silent, connected(server[1]) as dribbling:
        dribbling.sendall(b"POST /predict HTTP/1.1\r\nHost: loc")
        with connected(server[1]) as endless, contextlib.suppress(OSError):
            endless.sendall(b"POST /predict HTTP/1.1\r\n")
            for _ in range(64):
                endless.sendall(b"x: " + b"y" * 16384 + b"\r\n")
            said = endless.recv(65536)
            assert not said or (b" 400 " in said and said.endswith(b"bytes in all are taken."))
        assert ask(connection) == good
        assert dribbling.recv(1) == b""
        assert silent.recv(1) == b""
    assert ask(connection) == good  # it was idle meanwhile, between two requests
    connection.close()


def test_headers_that_are_there_twice(server):
    twice = b"Host: evil.example\r\nHost: localhost\r\n"
    for more, wanted in (
        (twice, b" 400 "),
        (b"Host: localhost\r\nContent-Encoding: gzip\r\nContent-Encoding: identity\r\n", b" 400 "),
        (b"Host: localhost\r\nAccept: a\r\nAccept: b\r\n", b" 200 "),
    ):
        with connected(server[1]) as sock:
            length = b"Content-Length: %d\r\n\r\n" % len(BODY)
            sock.sendall(b"POST /predict HTTP/1.1\r\n" + more + length + BODY)
            assert wanted in sock.recv(65536)


def test_a_refused_body_does_not_hide_the_answer(server):
    """Who sends first and reads then gets 413, and may go on in the same connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server[1], timeout=20)
    status, found = ask(connection, b"x" * 3_000_000)
    assert (status, found["error"]) == (413, "the body is larger than 5,000 bytes")
    assert ask(connection)[0] == 200
    connection.close()


def test_it_ends_when_what_is_there_is_answered(server):
    process, port = server
    with connected(port) as sock:
        sock.sendall(head(len(BODY)) + BODY[:10])
        # Once another request is answered, this one has been begun.
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        assert ask(connection)[0] == 200
        connection.close()
        process.send_signal(signal.SIGTERM)
        sock.sendall(BODY[10:])
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert out.endswith("Stopped\n")
