"""``nnscratch export``: a program for NumPy alone with the run's preprocessing, and safetensors."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from command_line import QUICK, call, fails
from safetensors.torch import load_file

from nnscratch.cli import runs
from nnscratch.cli.inputs import inputs_from
from nnscratch.data import Table, TableEncoder
from nnscratch.interop.standalone.rows import encode_rows
from nnscratch.tensors import Tensor
from nnscratch.train.evaluation import evaluating, predict
from nnscratch.train.tensor_file import TensorFile

# Nothing but Python and NumPy can be imported.
ALONE = """
import sys, runpy
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('nnscratch', 'array_api_compat', 'numba', 'safetensors'):
            raise ImportError(name)
sys.meta_path.insert(0, Finder())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def run_alone(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE, *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, timeout=100, encoding="utf-8",
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def trees(tmp_path):
    """A table with gaps, categories, booleans and dates."""
    source = np.random.default_rng(0)
    with open(tmp_path / "trees.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["width", "colour", "wild", "day", "age", "kind"])
        for n in range(120):
            kind = n % 3
            width = "" if n % 17 == 0 else round(kind + source.normal(0, 0.2), 3)
            colour = ("red", "blue", "white [sic]")[(kind + (n > 100)) % 3]
            day = f"2024-0{1 + n % 9}-1{n % 7}"
            rows.writerow([width, colour, bool(n % 2), day, round(3 * kind + n / 99, 2),
                           ("oak", "elm", "fir")[kind]])  # fmt: skip
    return tmp_path / "trees.csv"


def test_classes_of_a_table(capsys, trees, tmp_path):
    run = tmp_path / "run"
    call(capsys, "train", trees, "--target", "kind", *QUICK, "--run", run)
    code, out, _ = call(capsys, "export", run, "-o", tmp_path / "model.py")
    assert code == 0
    assert "NumPy alone" in out
    lines = [line.split() for line in run_alone(tmp_path, "model.py", trees)]
    call(capsys, "predict", run, trees, "-o", tmp_path / "out.csv")
    with open(tmp_path / "out.csv", encoding="utf-8") as file:
        expected = list(csv.DictReader(file))
    assert [line[0] for line in lines] == [row["prediction"] for row in expected]
    shares = [float(row["probability"]) for row in expected]
    np.testing.assert_allclose([float(line[1]) for line in lines], shares, atol=2e-6)


def test_number_of_a_table(capsys, trees, tmp_path):
    run = tmp_path / "run"
    call(capsys, "train", trees, "--target", "age", *QUICK, "--run", run)
    call(capsys, "export", run, "-o", tmp_path / "model.py")
    found = [float(line) for line in run_alone(tmp_path, "model.py", trees)]
    opened = runs.open_run(run)
    inputs = inputs_from(str(trees), opened.preprocessor, opened.settings, labelled=False)
    wanted = opened.preprocessor.target.inverse_transform(predict(opened.model(), inputs.features))
    np.testing.assert_allclose(found, wanted.ravel(), rtol=1e-5)


def images_alike(capsys, run, source, tmp_path):
    call(capsys, "export", run, "-o", tmp_path / "model.py")
    opened = runs.open_run(run)
    inputs = inputs_from(str(source), opened.preprocessor, opened.settings, labelled=False)
    np.save(tmp_path / "images.npy", inputs.features)
    lines = run_alone(tmp_path, "model.py", "images.npy")
    call(capsys, "predict", run, source, "-o", tmp_path / "out.csv")
    with open(tmp_path / "out.csv", encoding="utf-8") as file:
        assert [row["prediction"] for row in csv.DictReader(file)] == [x.split()[0] for x in lines]


def test_images_of_an_mlp(capsys, digits, tmp_path):
    images_alike(capsys, digits[0], "digits", tmp_path)


def test_images_of_a_cnn(capsys, tmp_path):
    source = np.random.default_rng(0)
    labels = np.arange(60) % 4
    images = source.integers(0, 60, (60, 8, 8)).astype(np.uint8)
    images[np.arange(60), labels] += 180
    np.savez(tmp_path / "bars.npz", images=images, labels=labels)
    run = tmp_path / "run"
    call(capsys, "train", tmp_path / "bars.npz", "--model", "cnn", "--epochs", 1, "--run", run)
    images_alike(capsys, run, tmp_path / "bars.npz", tmp_path)


def test_text(capsys, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat. a dog ran to the hat.\n" * 40, encoding="utf-8")
    run = tmp_path / "run"
    call(capsys, "train", text, "--model", "gpt", "--width", 8, "--layers", 1, "--heads", 2,
         "--block", 16, "--epochs", 1, "--run", run)  # fmt: skip
    assert call(capsys, "export", run, "-o", tmp_path / "model.py")[0] == 0
    lines = run_alone(tmp_path, "model.py", "the cat")
    assert "\n".join(lines).startswith("the cat")
    program = (
        "import model, numpy as np; np.save('s.npy', model.scores('the cat sat on the mat. a'))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=100)
    opened = runs.open_run(run)
    tokens = opened.tokenizer.encode("the cat sat on the mat. a")[-16:]
    model = opened.model()
    with evaluating(model):
        wanted = model(Tensor(tokens[None].astype(np.int64)))
    np.testing.assert_allclose(np.load(tmp_path / "s.npy"), wanted.numpy()[0, -1], rtol=1e-4)


def test_safetensors(capsys, trees, tmp_path):
    run = tmp_path / "run"
    call(capsys, "train", trees, "--target", "kind", *QUICK, "--run", run)
    place = tmp_path / "model.safetensors"
    assert call(capsys, "export", run, "--to", "safetensors", "-o", place)[0] == 0
    theirs = load_file(place)
    ours = runs.open_run(run).model().state_dict()
    assert {k: v.tolist() for k, v in theirs.items()} == {k: v.tolist() for k, v in ours.items()}
    with TensorFile(place) as file:
        assert file.metadata["format"] == "pt"
        described = json.loads(file.metadata["nnscratch.preprocessing"])
    assert described == runs.open_run(run).preprocessor.to_dict()


def test_refused(capsys, trees, tmp_path):
    run = tmp_path / "run"
    call(capsys, "train", trees, "--target", "kind", *QUICK, "--run", run)
    place = tmp_path / "model.py"
    place.write_text("mine")
    assert "--overwrite" in fails(capsys, "export", run, "-o", place)
    assert place.read_text() == "mine"
    assert call(capsys, "export", run, "-o", place, "--overwrite")[0] == 0
    assert "did you mean 'numpy'" in fails(capsys, "export", run, "--to", "nunpy")
    assert "must end in .py" in fails(capsys, "export", run, "-o", tmp_path / "model.txt")
    inside = run / "model.safetensors"
    assert "file of the run" in fails(capsys, "export", run, "--to", "safetensors", "-o", inside)
    assert "no such folder" in fails(capsys, "export", run, "-o", tmp_path / "none" / "model.py")
    assert "there is no such folder" in fails(capsys, "export", tmp_path / "nothing")


def test_rows_are_encoded_as_in_training():
    """To the bit, with gaps, categories that are new, and other ways to write yes and no."""
    day = np.array(["2024-01-05T06:30", "NaT", "2023-12-31T00:00"], "datetime64[us]")
    table = Table(
        "trees",
        {
            "width": np.array([0.1, np.nan, 1e200]),
            "thick": np.array([1, 2, 4]),
            "kind": np.array(["oak", None, "elm"], object),
            "wild": np.array([True, False, True]),
            "dry": np.array(["yes", "no", "yes"], object),
            "day": day,
        },
        gaps=True,
    )
    encoder = TableEncoder.fit(table)
    rows = [
        {"width": 0.1, "thick": "1", "kind": "oak", "wild": True, "dry": "yes",
         "day": "2024-01-05T06:30"},
        {"width": "n/a", "thick": 2, "kind": "", "wild": "no", "dry": "0", "day": None},
        {"width": 1e200, "thick": 4.0, "kind": "elm", "wild": "TRUE", "dry": "Y",
         "day": "2023-12-31"},
    ]  # fmt: skip
    columns = encoder.to_dict()["columns"]
    assert encode_rows(rows, columns).tobytes() == encoder.transform(table).tobytes()
    with pytest.raises(ValueError, match="row 2: there is no column 'thick'"):
        encode_rows([rows[0], {"width": 1.0}], columns)
    for wrong in ("wide", float("inf"), 10**400, [1]):
        with pytest.raises(ValueError, match="row 1: column 'width' is numeric"):
            encode_rows([{**rows[0], "width": wrong}], columns)
    with pytest.raises(ValueError, match="row 1: column 'day' is datetime"):
        encode_rows([{**rows[0], "day": "soon"}], columns)
    with pytest.raises(ValueError, match="row 1: column 'wild' is boolean"):
        encode_rows([{**rows[0], "wild": "perhaps"}], columns)


@pytest.fixture
def sales(tmp_path):
    """A table as people have them: spaces, quotes, commas and the same name twice, times, gaps."""
    source = np.random.default_rng(0)
    with open(tmp_path / "sales.csv", "w", newline="", encoding="utf-8-sig") as file:
        rows = csv.writer(file, delimiter=";")
        rows.writerow(["day", " size (m²) ", '12" pipe?', "time", "note", "note", "", 'say """'])
        for n in range(120):
            rows.writerow([
                "" if n % 13 == 0 else f"2023-{1 + n % 12:02}-{1 + n % 28:02}",
                "n/a" if n % 11 == 0 else round(10 * source.random() + n % 3, 1),
                "yes" if n % 2 else "no", f"{n % 24:02}:{n % 60:02}",
                ('say "hi"', "a, b", "\\d", "x;y")[n % 4], n % 7, n % 5,
                ('"""', "it's; {x}", "\\n, ü")[n % 3],
            ])  # fmt: skip
    return tmp_path / "sales.csv"


def test_table_as_people_have_them(capsys, sales, tmp_path):
    run = tmp_path / "run"
    call(capsys, "train", sales, "--target", 'say """', *QUICK, "--run", run)
    assert call(capsys, "export", run, "-o", tmp_path / "model.py")[0] == 0
    lines = run_alone(tmp_path, "model.py", sales)
    call(capsys, "predict", run, sales, "-o", tmp_path / "out.csv")
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file))
    assert [line.rpartition(" ")[0] for line in lines] == [row["prediction"] for row in expected]
    shares = [float(row["probability"]) for row in expected]
    np.testing.assert_allclose([float(line.rsplit(" ")[-1]) for line in lines], shares, atol=2e-6)


def test_what_a_program_says_to_wrong_files(capsys, sales, tmp_path):
    run = tmp_path / "run"
    call(capsys, "train", sales, "--target", 'say """', *QUICK, "--run", run)
    call(capsys, "export", run, "-o", tmp_path / "model.py")
    (tmp_path / "short.csv").write_text("day;time\n1\n", encoding="utf-8")
    (tmp_path / "other.csv").write_text("a;b\n1;2\n", encoding="utf-8")
    (tmp_path / "bytes.csv").write_bytes(b"a;b\n\xff;2\n")
    for given, said in (
        ([], "usage: python model.py FILE.csv"),
        (["none.csv"], "No such file"),
        (["short.csv"], "row 1: 1 values for 2 columns"),
        (["other.csv"], "there is no column 'day'"),
        (["bytes.csv"], "utf-8"),
    ):
        done = subprocess.run(
            [sys.executable, "model.py", *given],
            cwd=tmp_path, capture_output=True, text=True, timeout=100, encoding="utf-8",
        )  # fmt: skip
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_what_a_program_of_images_says_to_wrong_files(capsys, digits, tmp_path):
    call(capsys, "export", digits[0], "-o", tmp_path / "model.py")
    (tmp_path / "text.npy").write_text("a", encoding="utf-8")
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.save(tmp_path / "other.npy", np.zeros((2, 7, 7)))
    np.savez(tmp_path / "several.npz", np.zeros((2, 8, 8)))
    (tmp_path / "empty.npy").write_bytes(b"")
    for given, said in (
        ([], "usage: python model.py IMAGES.npy"),
        (["none.npy"], "No such file"),
        (["text.npy"], "no .npy file of numbers"),
        (["objects.npy"], "no .npy file of numbers"),
        (["empty.npy"], "no .npy file of numbers"),
        (["other.npy"], "expected images"),
        (["several.npz"], "several.npz: "),
    ):
        done = subprocess.run(
            [sys.executable, "model.py", *given],
            cwd=tmp_path, capture_output=True, text=True, timeout=100, encoding="utf-8",
        )  # fmt: skip
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
