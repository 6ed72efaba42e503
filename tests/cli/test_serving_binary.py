"""Tensors as bytes behind the JSON of the Open Inference Protocol, and what is wrong with them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from serving import QUICK, ROW, call, post, service, train, trees

INFER = "/v2/models/trees/infer"
KINDS = {"width": ("FP64", "<f8"), "colour": ("BYTES", ""), "wild": ("BOOL", "u1"),
         "day": ("BYTES", "")}  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("binary")
    table = trees(folder / "trees.csv")
    return service(train(folder / "kinds", table, "--target", "kind", "--exclude", "age", *QUICK))


def texts(values):
    coded = [one.encode() for one in values]
    return b"".join(len(one).to_bytes(4, "little") + one for one in coded)


def raw_of(name, rows):
    values = [row[name] for row in rows]
    datatype, stored = KINDS[name]
    return texts(values) if datatype == "BYTES" else np.array(values, stored).tobytes()


def body_of(rows, change=None, behind=b"", **more):
    """A body with all columns as bytes, and the length of its JSON; ``change`` may alter both."""
    inputs, parts = [], []
    for name, (datatype, _) in KINDS.items():
        parts.append(raw_of(name, rows))
        inputs.append({"name": name, "shape": [len(rows)], "datatype": datatype,
                       "parameters": {"binary_data_size": len(parts[-1])}})  # fmt: skip
    if change is not None:
        change(inputs, parts)
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + b"".join(parts) + behind, len(head)


def asked(app, body, length, **headers):
    kinds = {"content-type": "application/octet-stream"}
    if length is not None:
        kinds["inference-header-content-length"] = str(length)
    status, headers, content = call(app, "POST", INFER, body, {**kinds, **headers})
    size = headers.get("inference-header-content-length")
    told = json.loads(content if size is None else content[: int(size)])
    return status, told, b"" if size is None else content[int(size) :]


ROWS = [ROW, {**ROW, "width": 2.5, "colour": "blue", "wild": False, "day": "2024-05-11"}]


def as_json(app, rows, **more):
    inputs = [
        {"name": name, "shape": [len(rows)], "datatype": kind, "data": [row[name] for row in rows]}
        for name, (kind, _) in KINDS.items()
    ]
    return post(app, {"inputs": inputs, **more}, INFER)


def test_bytes_say_what_json_says(app):
    assert "binary_tensor_data" in json.loads(call(app, "GET", "/v2")[2])["extensions"]
    wanted = as_json(app, ROWS)
    status, found, _ = asked(app, *body_of(ROWS))
    assert (status, found) == wanted

    def half(inputs, parts):
        inputs[0] = {**inputs[0], "data": [1.0, 2.5]}
        del inputs[0]["parameters"], parts[0]

    assert asked(app, *body_of(ROWS, half))[:2] == wanted
    gap = [{**ROW, "width": np.nan}, ROWS[1]]
    assert asked(app, *body_of(gap))[:2] == as_json(app, [{**ROW, "width": None}, ROWS[1]])


def test_outputs_as_bytes(app):
    wanted = {one["name"]: one for one in as_json(app, ROWS)[1]["outputs"]}
    everything = {"binary_data_output": True}
    status, found, behind = asked(app, *body_of(ROWS, parameters=everything))
    assert status == 200
    start, read = 0, {}
    for one in found["outputs"]:
        size = one["parameters"]["binary_data_size"]
        read[one["name"]] = behind[start : start + size]
        start += size
        assert "data" not in one
        assert (one["shape"], one["datatype"]) == (
            wanted[one["name"]]["shape"], wanted[one["name"]]["datatype"]
        )  # fmt: skip
    assert start == len(behind)
    assert read["prediction"] == texts(wanted["prediction"]["data"])
    for name in ("probability", "probabilities"):
        assert np.frombuffer(read[name], "<f8").tolist() == wanted[name]["data"]
    outputs = [
        {"name": "prediction"},
        {"name": "probability", "parameters": {"binary_data": True}},
    ]
    status, found, behind = asked(app, *body_of(ROWS, outputs=outputs))
    assert found["outputs"][0] == wanted["prediction"]
    assert np.frombuffer(behind, "<f8").tolist() == wanted["probability"]["data"]
    # What is asked as JSON may be answered so, too.
    _, _, content = call(
        app, "POST", INFER, json.dumps({"inputs": json_inputs(ROWS), "outputs": outputs}).encode()
    )
    assert content.endswith(behind)


def json_inputs(rows):
    return [
        {"name": name, "shape": [len(rows)], "datatype": kind, "data": [row[name] for row in rows]}
        for name, (kind, _) in KINDS.items()
    ]


@pytest.mark.parametrize("length", ["", "-1", "x", "1e3", "٣", "9" * 30, "100000", "1", "0"])
def test_lengths_of_the_json_that_are_none(app, length):
    body, _ = body_of(ROWS)
    status, found, _ = asked(app, body, length.encode().decode("latin-1"))
    assert status == 400
    assert found["error"]


def test_a_length_that_is_there_twice_and_bytes_without_one(app):
    body, length = body_of(ROWS)
    status, found, _ = asked(app, body, None)
    assert (status, "no request of the" in found["error"]) == (400, True)
    head = body[:length]
    status, found, _ = asked(app, head, None)
    assert (status, "of its 16 bytes there are 0" in found["error"]) == (400, True)
    twice = [(b"inference-header-content-length", b"5")] * 2
    assert app.opened(INFER.encode(), twice) is None


@pytest.mark.parametrize(
    ("place", "size", "shape", "raw", "reason"),
    [
        (0, 15, [2], None, "do not make the shape"),
        (0, 16, [3], None, "16 bytes do not make the shape"),
        (0, 16, [2**62, 4], None, "do not make the shape"),
        (0, 16, [-1, -2], None, "do not make the shape"),
        (0, 16, [1] * 9, None, "at most 8 axes"),
        (0, 0, [0], b"", "no rows"),
        (0, 17, [2], None, "do not make the shape"),
        (0, 10**9, [2], None, "of its 1,000,000,000 bytes there are"),
        (0, -1, [2], None, "binary_data_size is a number"),
        (0, True, [2], None, "binary_data_size is a number"),
        (0, 16.0, [2], None, "binary_data_size is a number"),
        (0, "16", [2], None, "binary_data_size is a number"),
        (0, 16, [2], np.array([1.0, np.inf]).tobytes(), "a number is infinite"),
        (2, 2, [2], b"\x01\x02", "a BOOL is a byte 0 or 1"),
        (1, 8, [2], b"\x03\0\0\0red\0", "cut off"),
        (1, 8, [2], b"\xff\xff\xff\xffabcd", "cut off"),
        (1, 7, [2], b"\x03\0\0\0red", "1 texts do not make"),
        (1, 12, [2], b"\0\0\0\0" * 3, "3 texts do not make"),
        (1, 10, [2], b"\x01\0\0\0\xff\x01\0\0\0a", "no UTF-8"),
        (1, 10, [1, 2], texts("ab"), "expected the shape"),
    ],
)
def test_bytes_that_are_wrong(app, place, size, shape, raw, reason):
    def change(inputs, parts):
        inputs[place] = {**inputs[place], "shape": shape, "parameters": {"binary_data_size": size}}
        if raw is not None:
            parts[place] = raw

    status, found, _ = asked(app, *body_of(ROWS, change))
    assert (status, reason in found["error"]) == (400, True), found


def test_bytes_that_belong_to_nobody_or_come_twice(app):
    status, found, _ = asked(app, *body_of(ROWS, behind=b"abc"))
    assert (status, "3 bytes at the end" in found["error"]) == (400, True)

    def twice(inputs, parts):
        inputs[0]["data"] = [1.0, 2.0]

    status, found, _ = asked(app, *body_of(ROWS, twice))
    assert (status, "its data twice" in found["error"]) == (400, True)

    def neither(inputs, parts):
        del inputs[0]["parameters"], parts[0]

    status, found, _ = asked(app, *body_of(ROWS, neither))
    assert (status, "has no data" in found["error"]) == (400, True)
    for more in (
        {"parameters": {"binary_data_output": 1}},
        {"outputs": [{"name": "prediction", "parameters": {"binary_data": "yes"}}]},
    ):
        status, found, _ = asked(app, *body_of(ROWS, **more))
        assert (status, "is true or false" in found["error"]) == (400, True)


def test_damaged_bodies_are_answered(app):
    """Whatever is cut off, or has other bytes in it: an answer, and no failure of the server."""
    body, length = body_of(ROWS)
    source = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(body)
        for place in source.integers(0, len(body), 3):
            damaged[place] = source.integers(256)
        cut = damaged[: source.integers(len(body) + 1)] if source.random() < 0.5 else damaged
        status, _, _ = asked(app, bytes(cut), length + int(source.integers(-2, 3)))
        assert status in (200, 400)


def test_images_as_bytes(digits):
    app = service(digits[0], name="trees")
    pixels = np.arange(128, dtype=np.uint8).reshape(2, 8, 8) % 16
    for kind, stored in (("UINT8", "u1"), ("FP32", "<f4")):
        raw = (pixels / 16 if kind == "FP32" else pixels).astype(stored).tobytes()
        one = {"name": "images", "shape": [2, 8, 8], "datatype": kind,
               "parameters": {"binary_data_size": len(raw)}}  # fmt: skip
        head = json.dumps({"inputs": [one]}).encode()
        status, found, _ = asked(app, head + raw, len(head))
        alone = post(app, {"images": pixels.tolist()})[1]["predictions"]
        assert status == 200, (kind, found)
        assert found["outputs"][0]["data"] == [one["prediction"] for one in alone]
