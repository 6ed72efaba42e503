"""``nnscratch serve`` and hostile requests: odd names, keys twice, values that do not fit."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from command_line import fails
from serving import QUICK, ROW, call, npy, post, service, train, trees

from nnscratch.cli import runs
from nnscratch.cli.serving.answering import RunAnswers
from nnscratch.cli.serving.starting import read_tokens
from nnscratch.data import TablePreprocessor
from nnscratch.errors import ConfigurationError

BINARY = {"content-type": "application/x-npy"}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    table = trees(tmp_path_factory.mktemp("table") / "trees.csv")
    return train(table.parent / "kinds", table, "--target", "kind", "--exclude", "age", *QUICK)


@pytest.fixture(scope="module")
def app(kinds):
    return service(kinds)


ODD = ('12" pipe', "back\\slash", "line\nbreak", "c1", "{brace}", "größe: m²", '\', """')


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A run of a table whose columns, classes and categories have awkward names."""
    folder = tmp_path_factory.mktemp("odd")
    with open(folder / "odd.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow([*ODD, "what is it?"])
        for n in range(90):
            kind = n % 3
            texts = ('a "b"', "c\\d", "e, f")
            numbers = [kind + n / 7 % 1 + k for k in range(len(ODD) - 2)]
            rows.writerow(
                [*numbers, ("yes", "no")[n % 2], texts[kind], ('"""', "\\n'{x}", "ü, ö")[kind]]
            )
    return train(folder / "run", folder / "odd.csv", "--target", "what is it?", *QUICK)


def test_columns_of_any_name(odd):
    app = service(odd)
    row = app.run.reader.example()["rows"][0]
    assert list(row) == list(ODD)
    status, found = post(app, {"rows": [row, {**row, ODD[0]: "x"}, {**row, "c2": 1}, [], row]})
    first, wrong, unknown, none, last = found["predictions"]
    assert (status, first) == (200, last)
    assert first["prediction"] in ('"""', "\\n'{x}", "ü, ö")
    assert "12" in wrong["error"]
    assert " pipe" in wrong["error"]
    assert "unknown field `c2`" in unknown["error"]
    assert set(none) == {"error"}
    # Yes and no are true and false as well.
    answers = [
        post(app, {"rows": [{**row, ODD[5]: value}]})[1]["predictions"][0]
        for value in ("yes", True, "TRUE", "no", False)
    ]
    assert answers[0] == answers[1] == answers[2] != answers[3] == answers[4]
    assert not any("notes" in one for one in answers)
    missing = {name: value for name, value in row.items() if name != ODD[2]}
    assert "line\nbreak" in post(app, {"rows": [missing]})[1]["predictions"][0]["error"]
    tensors = [
        {**one, "shape": [1], "data": [row[one["name"]]]} for one in app.run.reader.tensors()
    ]
    status, found = post(app, {"inputs": tensors}, "/v2/models/trees/infer")
    assert (status, found["outputs"][0]["data"]) == (200, [first["prediction"]])
    assert call(app, "GET", "/")[0] == 200


@pytest.mark.parametrize("name", ["{x}", "{x:y}", "a b", "ü%2F", "?#"])
def test_models_of_any_name(kinds, name):
    from urllib.parse import unquote

    served = service(kinds, name=name)
    paths = json.loads(call(served, "GET", "/openapi.json")[2])["paths"]
    for path, methods in paths.items():
        for method, about in methods.items():
            body = b""
            if "requestBody" in about:
                body = about["requestBody"]["content"]["application/json"]["example"]
            assert not set("{} #") & set(path)
            # The server before this one has taken "?" and percent signs apart.
            app_path = unquote(path)
            if "?" not in app_path:
                assert call(served, method.upper(), app_path, body)[0] == 200
    assert call(served, "GET", "/v2/models/other")[0] == 404


@pytest.mark.parametrize("name", ["a/b", "..", "a\nb", "\udc80", "x" * 101])
def test_names_that_no_path_has(kinds, name):
    with pytest.raises(ConfigurationError, match="--name"):
        RunAnswers(runs.open_run(kinds), name)


def test_keys_that_are_there_twice(app):
    row = json.dumps(ROW)
    good = post(app, {"rows": [ROW]})[1]["predictions"][0]
    for body in (
        f'{{"rows":[{row}],"rows":[{row}]}}',
        f'{{"rows":1, "r\\u006fws":[{row}]}}',
        f' {{ "rows":[{row}] , "rows" : [{row}] }}',
    ):
        status, found = post(app, body.encode())
        assert (status, "twice" in found["error"]) == (400, True), found
    spaced = f' {{\n"rows" :\t[{row}]\r\n}} '
    assert post(app, spaced.encode())[1]["predictions"] == [good]
    escaped = f'{{"r\\u006fws":[{row}]}}'
    assert post(app, escaped.encode())[1]["predictions"] == [good]
    twice = row[:-1] + ', "width": 7}'
    _, found = post(app, f'{{"rows":[{twice},{row}]}}'.encode())
    assert "twice" in found["predictions"][0]["error"]
    assert found["predictions"][1] == good
    # Colons in values, and the answer itself, are no keys.
    full = {**ROW, "day": "2024-01-31T00:00", "kind": "oak"}
    assert "prediction" in post(app, {"rows": [full]})[1]["predictions"][0]
    tensors = [
        {**one, "shape": [1], "data": [ROW[one["name"]]]} for one in app.run.reader.tensors()
    ]
    body = json.dumps({"inputs": tensors})
    path = "/v2/models/trees/infer"
    assert post(app, body.encode(), path)[0] == 200
    for wrong in (body[:-1] + ', "inputs": []}', body.replace('"name"', '"name": "x", "name"', 1)):
        status, found = post(app, wrong.encode(), path)
        assert status == 400


def test_many_wrong_names_take_no_time(app):
    """The search for what was meant is of a few names, and of short ones."""
    rows = [{**ROW, f"{n}" + "width" * 20_000: 1} for n in range(9)]
    _, found = post(app, {"rows": rows})
    assert all(len(one["error"]) < 1000 for one in found["predictions"])
    rows = [{**ROW, f"widht{n}": 1} for n in range(100)]
    _, found = post(app, {"rows": rows})
    assert sum("did you mean" in one["error"] for one in found["predictions"]) == 5


def test_dates(app):
    def answers(day):
        return post(app, {"rows": [{**ROW, "day": day}]})[1]["predictions"][0]

    utc = answers("2024-01-31T12:30:00Z")
    assert utc == answers("2024-01-31T12:30") == answers("2024-01-31 14:30:00.000+02:00")
    assert utc == answers("2024-01-31T07:00:00-0530")
    assert "prediction" in answers("2024-01")
    assert "prediction" in answers("12:30")
    for wrong in ("now", "today", "NaT", "999999999-01-01", "2024-13-01", "soon", "", "2024-1-1"):
        assert "expected a date" in answers(wrong)["error"], wrong


def test_numbers_that_json_has_not(app, kinds, monkeypatch, capsys):
    """What the network computes may be NaN though a row is right: an error, in its place."""
    forward = app.run.compute._forward
    monkeypatch.setattr(
        app.run.compute, "_forward", lambda x: np.where(x[:, :1] > 1e6, np.nan, forward(x))
    )
    far = {**ROW, "width": 1e12}
    status, found = post(app, {"rows": [far, ROW]}, "/predict?probabilities=true")
    assert (status, set(found["predictions"][0])) == (200, {"error"})
    assert found["predictions"][1]["probability"] > 0
    assert post(app, {"rows": [far]})[0] == 422
    tensors = [
        {**one, "shape": [2], "data": [ROW[one["name"]], far[one["name"]]]}
        for one in app.run.reader.tensors()
    ]
    status, found = post(app, {"inputs": tensors}, "/v2/models/trees/infer")
    assert (status, found["error"][:6]) == (400, "row 2:")
    assert capsys.readouterr().err == ""


def test_values_that_a_tensor_cannot_hold(app):
    path = "/v2/models/trees/infer"
    others = [
        {**one, "shape": [1], "data": [ROW[one["name"]]]} for one in app.run.reader.tensors()[1:]
    ]

    def asked(datatype, value, **more):
        width = {"name": "width", "datatype": datatype, "shape": [1], "data": [value], **more}
        return post(app, {"inputs": [width, *others]}, path)

    single = post(app, {"rows": [ROW]})[1]["predictions"][0]["prediction"]
    for right in (("FP64", 1.0), ("FP32", 1), ("INT8", 1), ("UINT64", 1), ("INT16", 1.0)):
        status, found = asked(*right)
        assert (status, found["outputs"][0]["data"]) == (200, [single]), right
    assert asked("FP64", None)[0] == 200  # a gap
    for wrong in (
        ("INT32", 1.5), ("UINT8", 300), ("UINT8", 300.0), ("UINT8", -1), ("INT64", 2**63),
        ("FP32", 1e300), ("INT32", None), ("INT64", 1e30), ("FP64", 10**400), ("BOOL", 1),
    ):  # fmt: skip
        status, found = asked(*wrong)
        assert status == 400, (wrong, found)
    for shape in ([1, 1, 1], [1] * 70, [-1, -1], [0, 2**70], [1, 2]):
        assert asked("FP64", 1.0, shape=shape)[0] == 400
    for shape in ([0], [0, 2**63], [0] * 70):
        assert asked("FP64", 1.0, shape=shape, data=[])[0] == 400
    two = [{**others[0], "shape": [1, 2], "data": ["red", "red"]}, *others[1:]]
    width = {"name": "width", "datatype": "FP64", "shape": [2], "data": [1, 2]}
    status, found = post(app, {"inputs": [width, *two]}, path)
    assert (status, "[rows, 1]" in found["error"]) == (400, True)


def test_outputs_that_are_wanted(app):
    path = "/v2/models/trees/infer"
    inputs = [{**one, "shape": [1], "data": [ROW[one["name"]]]} for one in app.run.reader.tensors()]
    for names in (["probability"], ["probabilities", "prediction"]):
        body = {"inputs": inputs, "outputs": [{"name": name} for name in names]}
        status, found = post(app, body, path)
        assert (status, {one["name"] for one in found["outputs"]}) == (200, set(names))
    status, found = post(app, {"inputs": inputs, "outputs": [{"name": "x"}]}, path)
    assert (status, "no output 'x'" in found["error"]) == (400, True)


def test_arrays_of_odd_headers(tmp_path, capsys):
    with open(tmp_path / "xy.csv", "w", encoding="utf-8") as file:
        file.write("a,b,y\n" + "".join(f"{n / 7},{n % 5},{n / 9}\n" for n in range(60)))
    app = service(train(tmp_path / "xy", tmp_path / "xy.csv", "--target", "y", *QUICK))
    capsys.readouterr()
    array = np.array([[0.5, 1.0], [3.0, 4.0]])
    whole = post(app, npy(array), headers=BINARY)
    assert whole[0] == 200
    for same in (array.astype(">f8"), np.asfortranarray(array), array.astype(">f4")):
        assert post(app, npy(same), headers=BINARY) == whole
    numbers = array.tobytes()

    def header(text):
        content = text.encode()
        return b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content + numbers

    for text in (
        "{'descr': '<f8', 'fortran_order': 'False', 'shape': (2, 2)}",
        "{'descr': '<f8', 'fortran_order': 0, 'shape': (2, 2)}",
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': {(2, 2) + (1,) * 70}}}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (True, 4)}",
        "{'descr': '<c16', 'fortran_order': False, 'shape': (1, 2)}",
        "'\\d' '\\e'",
    ):
        assert post(app, header(text), headers=BINARY)[0] == 400, text
    assert capsys.readouterr().err == ""


def test_queries(app):
    for query, wanted in (("true", 3), ("1", 3), ("false", 0), ("0", 0)):
        _, found = post(app, {"rows": [ROW]}, f"/predict?probabilities={query}")
        assert len(found["predictions"][0].get("probabilities", ())) == wanted
    assert post(app, {"rows": [ROW]}, "/predict?x=y")[0] == 200
    status, found = post(app, {"rows": [ROW]}, "/predict?probabilities=")
    assert (status, "true or false" in found["error"]) == (400, True)


def test_errors_are_json(app):
    for method, path, wanted, allow in (
        ("GET", "/nothing", 404, None), ("PUT", "/metrics", 405, "GET, HEAD"),
        ("OPTIONS", "*", 404, None), ("HEAD", "/predict", 405, "POST"),
        ("POST", "/metrics/", 404, None),
    ):  # fmt: skip
        status, headers, content = call(app, method, path)
        assert (status, headers.get("allow")) == (wanted, allow)
        assert json.loads(content)["error"]
    assert call(app, "HEAD", "/healthz")[0] == 200


def test_addresses_of_this_machine(app):
    for host in ("127.0.0.1:1", "127.8.9.1", "[::1]", "LOCALHOST:80", "localhost"):
        assert post(app, {"rows": [ROW]}, headers={"host": host})[0] == 200, host
    for host in ("10.0.0.1", "localhost.example", "127.0.0.1.example", "[::2]", "evil:127.0.0.1"):
        assert post(app, {"rows": [ROW]}, headers={"host": host})[0] == 421, host


def test_bodies_in_other_transfer_codings(app):
    status, found = post(app, b"x", headers={"transfer-encoding": "gzip, chunked"})
    assert (status, "Transfer-Encoding" in found["error"]) == (415, True)
    assert post(app, {"rows": [ROW]}, headers={"transfer-encoding": "Chunked"})[0] == 200


def test_files_of_tokens(tmp_path):
    file = tmp_path / "tokens"
    file.write_bytes(b"\xef\xbb\xbf" + b"a" * 16 + b"\r\n" + b"b" * 17 + b"\n")
    file.chmod(0o600)
    assert read_tokens(str(file)) == ("a" * 16, "b" * 17)
    file.write_bytes(b"a" * 40 + b"\n" + b"#\n" * (1 << 20))
    for path in (file, tmp_path, tmp_path / "none", "a\0b"):
        with pytest.raises(ConfigurationError):
            read_tokens(str(path))


def test_times_that_are_none(capsys, kinds):
    for value in ("nan", "inf", "0"):
        assert "--timeout" in fails(capsys, "serve", kinds, "--timeout", value)


def test_preprocessing_is_a_tables(odd):
    assert isinstance(runs.open_run(odd).preprocessor, TablePreprocessor)
