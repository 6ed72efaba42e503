"""Tables' preprocessing as ONNX operators: onnxruntime gives what ``TablePreprocessor`` does."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from nnscratch import nn
from nnscratch.data import ClassTarget, Table, TablePreprocessor
from nnscratch.errors import ConfigurationError, DTypeError
from nnscratch.interop.onnx import export, load, to_onnx
from nnscratch.tensors import Tensor, no_grad

pytestmark = [
    pytest.mark.filterwarnings("ignore::nnscratch.data.preprocess.UnknownCategoryWarning"),
    pytest.mark.filterwarnings("ignore::nnscratch.data.preprocess.FilledGapsWarning"),
]


class Features(nn.Module):
    """Returns its features, times a parameter that is 1: what the preprocessing itself gives."""

    def __init__(self, count):
        super().__init__()
        self.size = nn.Parameter(Tensor(np.ones(count, np.float32)))

    def forward(self, x):
        return x * self.size


def feeds(table, encoder):
    """The columns of a table as the file takes them."""
    made = {}
    for column in encoder.columns:
        values = table.column(column.name)
        if column.kind == "numeric":
            values = values.astype(np.float64)
        elif column.kind == "datetime":
            values = values.astype("datetime64[us]").view(np.int64)
        else:
            values = np.array(["" if one is None else str(one) for one in values.tolist()], object)
        made[column.name] = values[:, None]
    return made


def session_of(model):
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def features_there(pre, table):
    """The features that onnxruntime makes, read where the network would: its scores."""
    count = pre.encoder.features
    classes = {"y": np.arange(count * 2) % max(count, 2)}
    wide = TablePreprocessor(
        pre.encoder, "y", TablePreprocessor.fit(
            Table("t", {"x": np.zeros(count * 2), **classes}), "y", task="classification"
        ).target,
    )  # fmt: skip
    made = to_onnx(Features(count), np.zeros((2, count), np.float32), preprocessing=wide)
    (last,) = [one.input[0] for one in made.graph.node if one.op_type == "Softmax"]
    made.graph.output.add().name = last
    return session_of(made).run([last], feeds(table, pre.encoder))[0]


def moments(*texts):
    return np.array(texts, "datetime64[us]")


def training(gaps):
    """A table with every kind of column, with gaps or without."""
    none = None if gaps else "elm"
    return Table(
        "trees",
        {
            "wide": np.array([1e-3, np.nan if gaps else 0.2, 0.5, 3.25]),
            "thick": np.array([1, 2, 3, 2**53]),
            "far": np.array([-1e300, 1e300, 0.0, 1e299]),
            "kind": np.array(["oak", none, "elm", 'the "fir"\n'], object),
            "wild": np.array([True, None if gaps else False, False, True], object),
            "dry": np.array(["yes", "no", "yes", "yes"], object),
            "day": moments("2024-02-29T06:30:01.5", "NaT" if gaps else "1969-12-31T23:59:59.999999",
                           "1600-03-01", "2399-12-31T23:00"),
            "y": np.array(["a", "b", "a", "b"], object),
        },
        gaps=gaps,
    )  # fmt: skip


def others():
    """Rows with gaps, new categories, other spellings and extremes."""
    return Table(
        "others",
        {
            "wide": np.array([np.nan, -1e30, 1e36, 5e-324, 0.1, -0.0]),
            "thick": np.array([np.nan, 2.0**60, -1.0, 0.5, 3.0, 1e18]),
            "far": np.array([np.nan, 1.7e308, -1.7e308, 1e-300, 0.0, 1.0]),
            "kind": np.array([None, "birch", "oak", "ELM", "elm", 'the "fir"\n'], object),
            "wild": np.array([None, True, False, True, False, None], object),
            "dry": np.array([None, "TRUE", "n", "perhaps", "Off", "1.0"], object),
            "day": moments("NaT", "0001-01-01", "9999-12-31T23:59:59.999999", "1900-02-28T12:00",
                           "1900-03-01", "-1000-05-05T01:02:03.000004"),
        },
        gaps=True,
    )  # fmt: skip


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("most", [100, 2])
def test_features_have_the_bits_of_training(gaps, most):
    pre = TablePreprocessor.fit(training(gaps), "y", max_categories=most)
    for table in (training(gaps), others()):
        want = pre.features(table)
        got = features_there(pre, table)
        assert got.dtype == want.dtype
        # The feature of a category is 1 there and here, that of a number has the same bits.
        np.testing.assert_array_equal(got, want)


def test_dates_of_all_centuries():
    days = np.arange("0001-01-01", "2500-01-01", dtype="datetime64[D]").astype("datetime64[us]")
    times = np.random.default_rng(0).integers(0, 86_400_000_000, len(days))
    table = Table("days", {"day": days + times, "y": np.arange(len(days)) % 2})
    pre = TablePreprocessor.fit(table, "y", standardise=False)
    assert [part.name for part in pre.encoder.columns[0].parts] == [
        "days", "year", "month", "weekday", "hour"
    ]  # fmt: skip
    np.testing.assert_array_equal(features_there(pre, table), pre.features(table))


def test_spellings_of_gaps_and_truth_are_those_of_files():
    """As `nnscratch predict` reads them, which the words of programs are gaps to in every text."""
    words = ["", "n/a", "NaN", "Missing", "UNKNOWN", "None", "Yes", "tRUE", "T", "oFf", "elm"]
    gaps = {"", "n/a", "NaN"}
    as_read = np.array([None if word in gaps else word for word in words], object)
    for trained_with_gaps in (False, True):
        kept = training(trained_with_gaps).select(["kind", "dry", "y"])
        pre = TablePreprocessor.fit(kept, "y")
        want = pre.features(Table("words", {"kind": as_read, "dry": as_read}, gaps=True))
        given = Table("words", dict.fromkeys(("kind", "dry"), np.array(words, object)))
        np.testing.assert_array_equal(features_there(pre, given), want)


def test_what_is_neither_true_nor_false_is_a_gap():
    pre = TablePreprocessor.fit(training(True).select(["wild", "y"]), "y")
    given = Table("words", {"wild": np.array(["TRUE", "f", "?", "perhaps", ""], object)})
    wanted = [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]]
    assert features_there(pre, given).tolist() == wanted


@pytest.mark.parametrize(
    ("labels", "kind", "none"),
    [
        (["b", "ä", "b", "ä"], "tensor(string)", ""),
        ([3, 7, 3, 7], "tensor(int64)", -(2**63)),
        ([0.5, 1.5, 0.5, 1.5], "tensor(double)", float("nan")),
        ([True, False, True, False], "tensor(bool)", False),
    ],
)
def test_labels_of_every_type(labels, kind, none, tmp_path):
    values = np.array(labels, object if isinstance(labels[0], str) else None)
    table = Table("t", {"label": np.array([1.0, 2.0, 3.0, 4.0]), "y": values})
    pre = TablePreprocessor.fit(table, "y", task="classification")
    model = nn.Linear(1, 2)
    path = tmp_path / "model.onnx"
    export(model, np.zeros((1, 1), np.float32), path, preprocessing=pre)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()] == ["label_1", "probabilities"]
    assert session.get_outputs()[0].type == kind
    x = np.array([[1.0], [4.0], [1e300], [np.inf]])
    got, shares = session.run(None, {"label": x})
    with no_grad():
        scores = model(Tensor(pre.encoder.transform(table))).numpy()[[0, 3]]
    wanted = [*pre.target.inverse_transform(scores.argmax(1)).tolist(), none, none]
    # What predict refuses, because it overflows float32, is no number here.
    assert [str(one) for one in got.tolist()] == [str(one) for one in wanted]
    assert np.isnan(shares).any(axis=1).tolist() == [False, False, True, True]


def test_numbers_come_in_their_own_units():
    source = np.random.default_rng(0)
    table = Table("t", {"x": source.normal(1e6, 3, 50), "value": source.normal(1e9, 5, 50)})
    pre = TablePreprocessor.fit(table, "value")
    model = nn.Linear(1, 1)
    session = session_of(to_onnx(model, np.zeros((1, 1), np.float32), preprocessing=pre))
    (got,) = session.run(["value"], {"x": table.column("x")[:, None]})
    with no_grad():
        want = pre.target.inverse_transform(model(Tensor(pre.features(table))).numpy())
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, want, rtol=1e-14)


@pytest.mark.parametrize("name", ["0.weight", "Gemm", "classes", "batch", "label", "a b\n"])
def test_columns_keep_their_names(name):
    table = Table("t", {name: np.array([1.0, 2.0, 4.0]), "y": np.array([0, 1, 0])})
    pre = TablePreprocessor.fit(table, "y")
    model = nn.Sequential(nn.Linear(1, 2))
    session = session_of(to_onnx(model, np.zeros((1, 1), np.float32), preprocessing=pre))
    got = session.run(None, {name: np.array([[1.0], [2.0]])})[1]
    with no_grad():
        want = model(Tensor(pre.features(table))).softmax(-1).numpy()[:2]
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_file_of_numbers_and_dates_comes_back(tmp_path):
    """As a module of ours, whose preprocessing is operators like the others; texts are refused."""
    kept = training(True).select(["wide", "thick", "far", "day", "y"])
    pre = TablePreprocessor.fit(kept, "y")
    model = nn.Linear(pre.encoder.features, 2)
    sample = np.zeros((1, pre.encoder.features), np.float32)
    path = tmp_path / "numbers.onnx"
    numbers = TablePreprocessor(pre.encoder, "y", ClassTarget((0, 1)))
    export(model, sample, path, preprocessing=numbers)
    given = feeds(kept, pre.encoder)
    with no_grad():
        want = model(Tensor(pre.features(kept))).softmax(-1).numpy()
        got = load(path)(*given.values())[1].numpy()
    np.testing.assert_allclose(got, want, rtol=1e-5)
    text = TablePreprocessor.fit(training(True).select(["kind", "y"]), "y")
    sample = np.zeros((1, text.encoder.features), np.float32)
    made = to_onnx(nn.Linear(sample.shape[1], 2), sample, preprocessing=text)
    path.write_bytes(made.SerializeToString())
    with pytest.raises(DTypeError, match="the tensor 'classes' is of STRING"):
        load(path)


def test_no_rows_give_no_answers():
    pre = TablePreprocessor.fit(training(True), "y")
    model = nn.Linear(pre.encoder.features, 2)
    sample = np.zeros((1, pre.encoder.features), np.float32)
    session = session_of(to_onnx(model, sample, preprocessing=pre))
    given = {name: one[:0] for name, one in feeds(others(), pre.encoder).items()}
    label, shares = session.run(None, given)
    assert (len(label), shares.shape) == (0, (0, 2))


def test_what_does_not_fit_is_refused_by_name():
    table = Table("t", {"x": np.array([1.0, 2.0]), "y": np.array([0, 1])})
    pre = TablePreprocessor.fit(table, "y", task="classification")
    one = np.zeros((1, 1), np.float32)
    with pytest.raises(ConfigurationError, match=r"target 'y' a model returns \(N, 2\)"):
        to_onnx(nn.Linear(1, 3), one, preprocessing=pre)
    with pytest.raises(ConfigurationError, match="makes 1 features of a row"):
        to_onnx(nn.Linear(2, 2), np.zeros((1, 2), np.float32), preprocessing=pre)
    with pytest.raises(ConfigurationError, match="names of its columns"):
        to_onnx(nn.Linear(1, 2), one, preprocessing=pre, input_names=["x"])
    with pytest.raises(ConfigurationError, match="names of their own"):
        to_onnx(nn.Linear(1, 2), one, preprocessing=pre, output_names=["x", "p"])
    for columns, said in (
        ({"a\ud800": np.array([1.0, 2.0])}, r"the column 'a\\ud800' is no text"),
        ({"": np.array([1.0, 2.0])}, "a column without a name"),
        ({"x": np.array(["a", "\udfff"], object)}, "a category of column 'x' '.udfff'"),
    ):
        odd = TablePreprocessor.fit(
            Table("t", {**columns, "y": np.array([0, 1])}), "y", task="classification"
        )
        width = odd.encoder.features
        with pytest.raises(ConfigurationError, match=said):
            to_onnx(nn.Linear(width, 2), np.zeros((1, width), np.float32), preprocessing=odd)
