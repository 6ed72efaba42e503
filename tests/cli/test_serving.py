"""``nnscratch serve``: the answers, what is wrong with a row or a body, limits, tokens."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import pickle
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from command_line import fails
from serving import QUICK, ROW, call, called, npy, post, service, train, trees

from nnscratch.cli import main, runs
from nnscratch.cli.inputs import inputs_from
from nnscratch.cli.serving.answering import RunAnswers, judged
from nnscratch.cli.serving.computing import RequestQueue, RowComputer
from nnscratch.cli.serving.reading import BadRequestError
from nnscratch.cli.serving.service import ServiceLimits
from nnscratch.data.tokenizers import CharacterTokenizer
from nnscratch.errors import ConfigurationError
from nnscratch.nn import Linear, ReLU, Sequential
from nnscratch.train.evaluation import predict


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return trees(tmp_path_factory.mktemp("table") / "trees.csv")


@pytest.fixture(scope="module")
def kinds(table):
    return train(table.parent / "kinds", table, "--target", "kind", "--exclude", "age", *QUICK)


@pytest.fixture(scope="module")
def app(kinds):
    return service(kinds)


@pytest.fixture(scope="module")
def pictures(digits):
    return service(digits[0], name="digits")


def rows_of(table):
    with open(table, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            row["width"] = float(row["width"]) if row["width"] else None
            row["wild"] = row["wild"] == "True"
            del row["age"]
            yield row


def test_answers_are_those_of_predict(app, kinds, table, tmp_path):
    rows = list(rows_of(table))
    status, found = post(app, {"rows": rows})
    assert status == 200
    assert found["model"] == "trees"
    main(["predict", str(kinds), str(table), "-o", str(tmp_path / "out.csv")])
    with open(tmp_path / "out.csv", encoding="utf-8") as file:
        expected = list(csv.DictReader(file))
    assert [one["prediction"] for one in found["predictions"]] == [
        e["prediction"] for e in expected
    ]
    shares = [one["probability"] for one in found["predictions"]]
    np.testing.assert_allclose(shares, [float(e["probability"]) for e in expected], atol=2e-6)


def test_features_are_those_of_training(app, kinds, table):
    found = runs.open_run(kinds)
    inputs = inputs_from(str(table), found.preprocessor, found.settings, labelled=False)
    body = json.dumps({"rows": list(rows_of(table))}).encode()
    read = app.run.reader.from_json(body, 1000)
    assert read.features.tobytes() == inputs.features.tobytes()


def test_a_rows_answer_is_the_same_alone_and_in_company(app, table):
    rows = list(rows_of(table))
    _, together = post(app, {"rows": rows})
    for number in (0, 7, 63, 119):
        _, alone = post(app, {"rows": [rows[number]]})
        assert alone["predictions"][0] == together["predictions"][number]
    _, turned = post(app, {"rows": rows[::-1]})
    assert turned["predictions"] == together["predictions"][::-1]


def test_one_bad_row_never_fails_its_neighbour(app):
    good = post(app, {"rows": [ROW]})[1]["predictions"][0]
    bad = [
        {**ROW, "width": "x"},
        {**ROW, "width": True},
        {k: v for k, v in ROW.items() if k != "colour"},
        {**ROW, "widht": 1.0},
        {**ROW, "day": "soon"},
        {**ROW, "wild": "yes"},
        {**ROW, "width": 1e200},
        [1, 2],
        None,
    ]
    status, found = post(app, {"rows": [ROW, *bad, ROW]})
    assert status == 200
    first, *wrong, last = found["predictions"]
    assert first == last == good
    assert all(set(one) == {"error"} for one in wrong)
    said = [one["error"] for one in wrong]
    assert "$.width" in said[0]
    assert "missing required field `colour`" in said[2]
    assert "did you mean 'width'?" in said[3]
    assert "expected a date such as 2024-01-31" in said[4]
    assert "too far" in said[6]
    status, found = post(app, {"rows": bad})
    assert status == 422
    assert len(found["predictions"]) == len(bad)


def test_what_is_unusual_is_noted(app):
    row = {**ROW, "colour": "green", "wild": None, "width": None}
    _, found = post(app, {"rows": [row, ROW]})
    notes = found["predictions"][0]["notes"]
    assert any("'colour': training never showed 'green'" in one for one in notes)
    assert any("'wild' is missing" in one for one in notes)
    assert not any("width" in one for one in notes)  # training had gaps there
    assert "notes" not in found["predictions"][1]


def test_every_probability(app):
    _, found = post(app, {"rows": [{**ROW, "kind": "oak"}]}, "/predict?probabilities=true")
    shares = found["predictions"][0]["probabilities"]
    assert set(shares) == {"oak", "elm", "fir"}
    assert sum(shares.values()) == pytest.approx(1.0)


BODIES = {
    "no JSON": (b"{", 400, "truncated"),
    "NaN": (b'{"rows":[{"width":NaN}]}', 400, "malformed"),
    "infinity": (b'{"rows":[{"width":Infinity}]}', 400, "malformed"),
    "deep": (b'{"rows":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "nested too deeply"),
    "deeper": (b"[" * 1_000_000, 400, "expected"),
    "another key": (b'{"row":[]}', 400, "alone, got 'row'"),
    "no list": (b'{"rows":{}}', 400, "expected"),
    "empty": (b'{"rows":[]}', 400, "no rows"),
    "nothing": (b"", 400, "expected"),
    "a list": (b"[]", 400, "expected"),
    "not UTF-8": (b'{"rows":[{"colour":"\xff"}]}', 422, None),
    "many rows": (b'{"rows":[' + b"1," * 200 + b"1]}", 413, "at most 100"),
    "pickled": (pickle.dumps([1]), 400, "expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_bad_bodies(kinds, name):
    body, wanted, reason = BODIES[name]
    status, found = post(service(kinds, limits=ServiceLimits(rows=100)), body)
    assert status == wanted
    assert reason is None or reason in found["error"]


def test_numbers_beyond_a_float(app):
    body = json.dumps({"rows": [ROW, ROW]}).encode().replace(b"1.0", b"1e400", 1)
    status, found = post(app, body)
    assert status == 200
    assert "out of range" in found["predictions"][0]["error"]
    assert "prediction" in found["predictions"][1]


def test_headers_are_judged(app, kinds):
    body = json.dumps({"rows": [ROW]}).encode()
    packed = {"content-encoding": "gzip"}
    status, found = post(app, gzip.compress(body), headers=packed)
    assert (status, "compressed" in found["error"]) == (415, True)
    assert post(app, body, headers={"content-type": "text/plain"})[0] == 415
    assert post(app, body, headers={"host": "evil.example"})[0] == 421
    assert post(app, body, headers={"host": "localhost:8000"})[0] == 200
    assert post(app, body, headers={"host": "[::1]:8000"})[0] == 200
    status, headers, _ = call(app, "GET", "/predict")
    assert (status, headers["allow"]) == (405, "POST")
    assert call(app, "GET", "/nothing")[0] == 404


def test_limits_of_a_body(kinds):
    small = service(kinds, limits=ServiceLimits(body=100, seconds=0.05))
    status, headers, _ = call(small, "POST", "/predict", b"x" * 101)
    assert (status, "connection" in headers) == (413, False)  # the rest is read, and thrown away
    told = {"content-length": "101"}
    assert call(small, "POST", "/predict", b"", told)[0] == 413
    assert call(small, "POST", "/predict", headers={"content-length": "9" * 400})[0] == 413
    # Without a length, in pieces, of which the first ones fit.
    assert call(small, "POST", "/predict", parts=[b"x" * 60] * 3)[0] == 413
    # A body that comes too slowly.
    status, _, content = call(small, "POST", "/predict", parts=[b"{"] * 90, wait=0.02)
    assert (status, b"did not arrive within" in content) == (408, True)
    # One that is cut off is not answered.
    assert call(small, "POST", "/predict", parts=[b"{"])[0] is None
    text = call(small, "GET", "/metrics")[2].decode()
    assert 'nnscratch_requests_total{route="/predict",status="499"} 1' in text
    assert 'nnscratch_requests_total{route="/predict",status="413"} 4' in text


def test_tokens(kinds, tmp_path, capsys):
    tokens = ("a" * 20, "b" * 20)
    closed = service(kinds, tokens=tokens)
    body = {"rows": [ROW]}
    for given in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {tokens[0]}"}):
        status, headers, _ = call(closed, "POST", "/predict", body, given)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
    for token in tokens:
        assert post(closed, body, headers={"authorization": f"Bearer {token}"})[0] == 200
    assert call(closed, "GET", "/healthz")[0] == 200
    assert call(closed, "GET", "/metrics")[0] == 401
    assert b'id="token"' in call(closed, "GET", "/")[2]
    file = tmp_path / "tokens"
    file.write_text("short\n")
    file.chmod(0o600)
    serve = ("serve", kinds, "--port", 0, "--token-file", file)
    assert "16 characters or more" in fails(capsys, *serve)
    file.write_text("# none\n")
    assert "there is none" in fails(capsys, *serve)
    file.chmod(0o644)
    assert "chmod 600" in fails(capsys, *serve)


def test_numbers(table):
    app = service(train(table.parent / "ages", table, "--target", "age", *QUICK), name="ages")
    status, found = post(app, {"rows": [{**ROW, "kind": "oak"}]})
    assert status == 200
    assert set(found["predictions"][0]) == {"prediction"}
    assert isinstance(found["predictions"][0]["prediction"], float)


def test_images(pictures, digits):
    found = runs.open_run(digits[0])
    inputs = inputs_from("digits", found.preprocessor, found.settings, labelled=False)
    images = inputs.features[:20]
    rows = found.preprocessor.features(images)
    labels = found.preprocessor.target.inverse_transform(predict(found.model(), rows).argmax(1))
    status, answers = post(pictures, {"images": images.tolist()})
    assert status == 200
    assert [one["prediction"] for one in answers["predictions"]] == labels.tolist()
    kind = {"content-type": "application/x-npy"}
    for array in (images, np.asfortranarray(images), images[:, None]):
        assert post(pictures, npy(array), headers=kind) == (200, answers)
    # Floats are from 0 to 1; one that is not is refused alone.
    shares = (images / 16).astype(np.float32)
    shares[3] = 2.0
    shares[4, 0, 0] = np.nan
    _, mixed = post(pictures, npy(shares), headers=kind)
    assert [one.get("prediction") for one in mixed["predictions"]] == [
        None if n in (3, 4) else label for n, label in enumerate(labels.tolist())
    ]
    wrong = [[[17] * 8] * 8, [[1] * 8] * 7, [[1] * 7, *[[1] * 8] * 7], [["a"] * 8] * 8, 3]
    _, mixed = post(pictures, {"images": [*wrong, images[0].tolist()]})
    assert [set(one) for one in mixed["predictions"][:-1]] == [{"error"}] * len(wrong)
    assert mixed["predictions"][-1] == answers["predictions"][0]


def header(text, body=b""):
    content = text.encode()
    return b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content + body


def test_bad_arrays(pictures):
    whole = npy(np.ones((2, 8, 8), np.uint8))
    for body, reason in (
        (npy(np.array([{}], object), allow_pickle=True), "never unpickled"),
        (whole[:-1], "not as long as its shape"),
        (whole + b"x", "not as long as its shape"),
        (whole[:20], "no .npy file"),
        (npy(np.ones(3, "U4")), "never unpickled"),
        (npy(np.ones((2, 8, 7), np.uint8)), "expected images"),
        (npy(np.float32(1)), "got the shape ()"),
        (header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': (1, 0, {2**70})}}"), "shape"),
        (npy(np.ones((0, 8, 8), np.uint8)), "no rows"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,)}"), "as long"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"), "as long"),
        (header("__import__('os').system('touch owned')"), "no .npy file"),
        (b"\x93NUMPY\x01\x00" + b"\xff\xff" + b"(" * 65535, "no .npy file"),
    ):
        status, found = post(pictures, body, headers={"content-type": "application/x-npy"})
        assert status in (400, 413)
        assert reason in found["error"], found


def test_damaged_bodies_are_answered(app, pictures):
    """Bytes changed, left out and put in at random: an answer each time, and never a failure."""
    rng = np.random.default_rng(0)
    rows = json.dumps({"rows": [ROW, ROW]}).encode()
    tensors = app.run.reader.tensors()
    infer = json.dumps(
        {"inputs": [{**one, "shape": [1], "data": [ROW[one["name"]]]} for one in tensors]}
    ).encode()
    array = npy(np.ones((2, 8, 8), np.uint8))
    binary = {"content-type": "application/x-npy"}
    seen = set()
    for whole, path, served, headers in (
        (rows, "/predict", app, {}),
        (infer, "/v2/models/trees/infer", app, {}),
        (array, "/predict", pictures, binary),
    ):
        for _ in range(250):
            body = bytearray(whole)
            for _ in range(rng.integers(1, 4)):
                place = int(rng.integers(len(body)))
                what = rng.integers(4)
                if what == 0:
                    body[place] = rng.integers(256)
                elif what == 1:
                    del body[place : place + int(rng.integers(1, 9))]
                elif what == 2:
                    body[place:place] = rng.choice([b'"', b"{", b"]", b"1e999", b"null", b"\xff"])
                else:
                    body[place:place] = body[place : place + 20]
            status, _, content = call(served, "POST", path, bytes(body), headers)
            seen.add(status)
            json.loads(content)
    assert seen <= {200, 400, 413, 415, 422}
    assert {200, 400} <= seen


def test_arrays_of_a_table(tmp_path, app):
    with open(tmp_path / "xy.csv", "w", encoding="utf-8") as file:
        file.write("a,b,y\n" + "".join(f"{n / 7},{n % 5},{n / 9}\n" for n in range(60)))
    xy = service(train(tmp_path / "xy", tmp_path / "xy.csv", "--target", "y", *QUICK))
    kind = {"content-type": "application/x-npy"}
    array = np.array([[0.5, 1.0], [np.inf, 1.0], [np.nan, 2.0], [3.0, 4.0]])
    _, found = post(xy, npy(array), headers=kind)
    assert [sorted(one) for one in found["predictions"]] == [
        ["prediction"], ["error"], ["notes", "prediction"], ["prediction"]
    ]  # fmt: skip
    _, rows = post(xy, {"rows": [{"a": 0.5, "b": 1}]})
    assert rows["predictions"][0] == found["predictions"][0]
    assert "(N, 2)" in post(xy, npy(array[:, :1]), headers=kind)[1]["error"]
    status, found = post(app, npy(array), headers=kind)
    assert (status, "'colour' holds no numbers" in found["error"]) == (415, True)


def test_inference_protocol(app, pictures):
    told = json.loads(call(app, "GET", "/v2/models/trees")[2])
    assert [one["datatype"] for one in told["inputs"]] == ["FP64", "BYTES", "BOOL", "BYTES"]
    assert call(app, "GET", "/v2/health/ready")[0] == 200
    assert json.loads(call(app, "GET", "/v2/models/trees/ready")[2])["ready"] is True
    names = [one["name"] for one in told["inputs"]]
    inputs = [{**one, "shape": [2, 1], "data": [[ROW[one["name"]]]] * 2} for one in told["inputs"]]
    path = "/v2/models/trees/infer"
    status, found = post(app, {"id": "7", "inputs": inputs}, path)
    assert (status, found["id"]) == (200, "7")
    single = post(app, {"rows": [ROW]})[1]["predictions"][0]
    outputs = {one["name"]: one for one in found["outputs"]}
    assert outputs["prediction"]["data"] == [single["prediction"]] * 2
    assert outputs["probability"]["data"] == [single["probability"]] * 2
    assert outputs["probabilities"]["shape"] == [2, 3]
    for wrong, reason in (
        ({"inputs": inputs[:-1]}, f"columns {names[-1]!r}"),
        ({"inputs": [*inputs, inputs[0]]}, "given twice"),
        ({"inputs": []}, "no inputs"),
        ({"inputs": [{**inputs[0], "shape": [3]}, *inputs[1:]]}, "do not make the shape"),
        ({"inputs": [{**inputs[0], "datatype": "FP128"}, *inputs[1:]]}, "no datatype"),
        ({"inputs": [{**inputs[0], "data": ["x", "y"]}, *inputs[1:]]}, "no number"),
        ({"inputs": [*inputs[:1], {**inputs[1], "data": [1, 2]}, *inputs[2:]]}, "no BYTES"),
        ({"inputs": [*inputs[:3], {**inputs[3], "data": ["soon", "2024"]}]}, "row 1"),
        ({}, "missing required field `inputs`"),
        (b"[" * 100_000, "Expected"),
    ):  # fmt: skip
        status, found = post(app, wrong, path)
        assert (status, reason in found["error"]) == (400, True), found
    image = {"name": "images", "datatype": "UINT8", "shape": [1, 8, 8], "data": [3] * 64}
    status, found = post(pictures, {"inputs": [image]}, "/v2/models/digits/infer")
    alone = post(pictures, {"images": [[[3] * 8] * 8]})[1]["predictions"][0]
    assert (status, found["outputs"][0]["data"]) == (200, [alone["prediction"]])
    assert found["outputs"][0]["datatype"] == "INT64"


@pytest.mark.parametrize("which", ["app", "pictures"])
def test_examples_of_the_description_run(which, request):
    served = request.getfixturevalue(which)
    described = json.loads(call(served, "GET", "/openapi.json")[2])
    assert described["openapi"].startswith("3.1")
    ran = 0
    for path, methods in described["paths"].items():
        for method, about in methods.items():
            body = b""
            if "requestBody" in about:
                body = about["requestBody"]["content"]["application/json"]["example"]
                ran += 1
            status = call(served, method.upper(), path, body)[0]
            assert status == 200
    assert ran == 2


def test_page_asks_nobody_else(app, pictures):
    for served in (app, pictures):
        status, headers, content = call(served, "GET", "/")
        assert status == 200
        assert "default-src 'none'" in headers["content-security-policy"]
        text = content.decode()
        assert not re.search(r"https?://", text)
        json.loads(re.search(r'application/json">(.*?)</script>', text).group(1))


def test_queue_keeps_requests_apart():
    """Some wait, one fails, too many are refused, and each has its own rows."""
    calls = []

    def compute(features):
        calls.append(len(features))
        if (features == 13.0).any():
            raise ValueError("13")
        return features * 2.0

    async def ask(queue, value):
        try:
            return float((await queue.later(np.full((2, 1), value)))[0, 0])
        except (BadRequestError, ValueError) as error:
            return str(error)

    async def all_at_once():
        queue = RequestQueue(compute, 1.0, 20, 5.0)
        assert not queue.quick(1)
        found = await asyncio.gather(*(ask(queue, float(n)) for n in range(24)))
        queue.close()
        return found

    found = asyncio.run(all_at_once())
    assert found[:13] == [2.0 * n for n in range(13)]
    assert found[13] == "13"
    assert found[14:20] == [2.0 * n for n in range(14, 20)]
    assert found[20:] == ["too many requests are waiting"] * 4
    assert max(calls) > 2  # requests that waited were computed together


def test_queue_gives_up_in_time():
    async def waits():
        import threading

        done = threading.Event()
        queue = RequestQueue(lambda x: done.wait(5.0) and x, 1.0, 9, 0.05)
        with pytest.raises(BadRequestError, match=r"waited 0.05 s"):
            await queue.later(np.ones((1, 1)))
        done.set()
        await asyncio.sleep(0.01)
        assert not queue.waiting
        queue.close()

    asyncio.run(waits())


def test_blocks_have_the_bits_of_single_rows():
    compute = RowComputer(Sequential(Linear(7, 33), ReLU(), Linear(33, 5)).eval(), (7,))
    rows = np.random.default_rng(1).standard_normal((70, 7)).astype(np.float32)
    together = compute(rows)
    assert compute.blocks[-1] == 1
    for count in (1, 2, 3, 5, 8, 13, 16, 31, 64, 69):
        for first in (0, 70 - count):
            found = compute(rows[first : first + count])
            assert found.tobytes() == together[first : first + count].tobytes()


def test_many_classes_are_judged_as_few_are():
    """NumPy judges the rows of many classes, Python's own numbers those of few."""
    source = np.random.default_rng(2)
    scores = (20.0 * source.standard_normal((40, 12))).astype(np.float32)
    scores[3, 2], scores[5, 0], scores[6, 7] = np.nan, np.inf, -np.inf
    scores[8], scores[9, 4] = 0.0, 1e30
    # Further classes which get no share.
    many = np.concatenate([scores, np.full((40, 100), -3e38, np.float32)], axis=1)
    few, wanted = judged(scores), judged(many)
    assert [n for n, one in enumerate(few) if one is None] == [3, 5, 6]
    for one, other in zip(few, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one[0] == other[0]
            np.testing.assert_allclose(one[1], other[1][:12], rtol=1e-12, atol=1e-300)
    for number in range(40):
        assert judged(scores[number : number + 1]) == few[number : number + 1]
        assert judged(many[number : number + 1]) == wanted[number : number + 1]


def test_requests_that_come_together_are_answered_as_alone(app, kinds):
    """One that is wrong, or too long for this, has no answer at once; the others have theirs."""
    rows = [{**ROW, "width": 0.5 * n} for n in range(12)]
    sent = [json.dumps({"rows": [row]}).encode() for row in rows]
    sent[4] = json.dumps({"rows": [{**ROW, "width": "wide"}]}).encode()
    sent[7] = sent[7][:-1]
    sent[9] = json.dumps({"rows": rows}).encode()
    opened = app.opened(b"/predict", [(b"host", b"localhost")])
    alone = [app.at_once([(opened, body)])[0] for body in sent]
    assert [n for n, one in enumerate(alone) if one is None] == [4, 7]
    for queue in (app.queue, RequestQueue(app.run.compute, 4e-4, 9, 1.0)):
        served = service(kinds)
        served.run, served.queue = app.run, queue
        found = served.at_once([(opened, body) for body in sent])
        # By the other queue's measure 12 rows take too long, and one or two do not.
        assert found == [
            None if n == 9 and queue is not app.queue else one for n, one in enumerate(alone)
        ]
        answered = sum(one is not None for one in found)
        assert f'route="/predict",status="200"}} {answered}' in served.figures.text(0)


def test_failing_request_is_500_and_no_other(app, capsys, monkeypatch):
    body = json.dumps({"rows": [ROW]}).encode()
    monkeypatch.setattr(app.run, "answer", lambda *_: 1 / 0)
    status, found = post(app, body)
    assert (status, found["error"]) == (500, "the server failed at this request")
    assert "ZeroDivisionError" in capsys.readouterr().err
    monkeypatch.undo()
    assert post(app, body)[0] == 200


def test_stopping(kinds):
    served = service(kinds)

    async def live():
        sent = []
        steps = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive():
            if len(steps) == 1:
                assert (await called(served, "GET", "/healthz"))[0] == 200
            return steps.pop(0)

        async def send(message):
            sent.append(message["type"])

        await served({"type": "lifespan"}, receive, send)
        return sent, (await called(served, "GET", "/healthz"))[0]

    assert asyncio.run(live()) == (
        ["lifespan.startup.complete", "lifespan.shutdown.complete"], 503
    )  # fmt: skip


def test_what_cannot_be_served(capsys, kinds, monkeypatch):
    found = replace(runs.open_run(kinds), preprocessor=CharacterTokenizer("abc"))
    with pytest.raises(ConfigurationError, match="continues texts"):
        RunAnswers(found)
    assert "cannot listen there" in fails(capsys, "serve", kinds, "--host", "256.0.0.1")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert 'pip install "nnscratch[serve]"' in fails(capsys, "serve", kinds)


def asked_at_once(app, path, body, **headers):
    listed = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    opened = app.opened(path.encode(), listed)
    return None if opened is None else app.at_once([(opened, body)])[0]


def test_answers_at_once_are_the_same(app, pictures):
    image = pictures.run.reader.example()
    infer = {"inputs": [{"name": "images", "shape": [1, 8, 8], "datatype": "UINT8",
                         "data": image["images"][0]}]}  # fmt: skip
    asked = [
        (app, "/predict", json.dumps({"rows": [ROW]}).encode(), "application/json"),
        (pictures, "/predict", json.dumps(image).encode(), "application/json; charset=utf-8"),
        (pictures, "/predict", npy(np.array(image["images"], np.uint8)), "application/x-npy"),
        (pictures, "/v2/models/digits/infer", json.dumps(infer).encode(), "application/json"),
    ]
    for one, path, body, kind in asked:
        before = one.figures.text(0)
        found = asked_at_once(one, path, body, content_type=kind)
        status, _, wanted = call(one, "POST", path, body, {"content-type": kind})
        assert (status, found) == (200, wanted)
        counted = re.compile(rf'requests_total{{route="{path}",status="200"}} (\d+)')
        was, now = (counted.search(text) for text in (before, one.figures.text(0)))
        assert int(now[1]) == (int(was[1]) if was else 0) + 2
    assert pictures.paths_at_once[b"/v2/models/digits/infer"] == "/v2/models/digits/infer"


def test_what_is_wrong_is_not_answered_at_once(app, kinds, monkeypatch):
    right = json.dumps({"rows": [ROW]}).encode()
    wrong = json.dumps({"rows": [ROW, {**ROW, "width": "wide"}]}).encode()
    count = app.figures.text(0)
    assert asked_at_once(app, "/predict", wrong) is None
    assert asked_at_once(app, "/predict", right[:-1]) is None
    assert asked_at_once(app, "/predict", right, host="example.com") is None
    assert asked_at_once(app, "/predict", right, content_encoding="gzip") is None
    assert asked_at_once(app, "/predict", right, content_type="text/plain") is None
    assert asked_at_once(app, "/predict", right + b" " * app.limits.body) is None
    twice = [(b"host", b"localhost"), (b"host", b"localhost")]
    assert app.opened(b"/predict", twice) is None
    monkeypatch.setattr(app.queue, "_task", object())  # others wait
    assert asked_at_once(app, "/predict", right) is None
    assert app.figures.text(0) == count
    closed = service(kinds, tokens=("a" * 20,))
    assert asked_at_once(closed, "/predict", right) is None
    assert asked_at_once(closed, "/predict", right, authorization="Bearer " + "a" * 20)
    closed.stopping = True
    assert asked_at_once(closed, "/predict", right, authorization="Bearer " + "a" * 20) is None


def test_images_as_most_are_have_the_features_of_all(tmp_path):
    """Grey images of whole numbers are read by a quicker way, all others by the usual one."""
    source = np.random.default_rng(0)
    images = source.integers(0, 256, (40, 3, 2)).astype(np.uint8)
    np.savez(tmp_path / "i.npz", images=images, labels=np.arange(40) % 2)
    run = train(tmp_path / "run", tmp_path / "i.npz", "--model", "mlp", *QUICK)
    reader, plain = service(run).run.reader, service(run).run.reader
    plain._usual = lambda body, most: None
    rows = "[0, 255], [1, 2], [3, 40]"
    usual = 0
    for text in (
        "[[%s]]", "[[%s], [%s]]", "[%s]", "[[[%s]]]", "[[%s], [[1]]]", "[[%s, 300]]",
        "[[%s], [[0, 2.0], [0, 0], [0, 0]]]",
        "[[%s], [[0, 256], [0, 0], [0, 0]]]", "[[%s], [[0, -1], [0, 0], [0, 0]]]",
        "[[%s], [[0, 1.5], [0, 0], [0, 0]]]", "[[%s], [[0, 1e400], [0, 0], [0, 0]]]",
        "[[%s], [[0, true], [0, 0], [0, 0]]]", '[[%s], "a:b"]',
    ):  # fmt: skip
        body = b'{"images": ' + text.replace("%s", rows).encode() + b"}"
        found, wanted = reader.from_json(body, 10), plain.from_json(body, 10)
        assert found.features.tobytes() == wanted.features.tobytes()
        assert found.errors == wanted.errors
        usual += reader._usual(body, 10) is not None
    assert usual == 2
    good = b'{"images": [[[0, 255], [1, 2], [3, 40]]]}'
    assert reader._usual(good, 1).tolist() == [[[0, 255], [1, 2], [3, 40]]]
    assert reader._usual(good, 0) is None
    assert reader._usual(good[:-1] + b', "images": []}', 10) is None
