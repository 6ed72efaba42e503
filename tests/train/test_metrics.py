import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.tensors import Tensor
from nnscratch.train import (
    F1,
    MAE,
    MSE,
    R2,
    Accuracy,
    Precision,
    Recall,
    TopK,
    confusion_matrix,
    precision_recall_f1,
)
from nnscratch.train.metrics import as_metrics

CASES = st.integers(0, 10_000)


def classes_case(seed, n=23, k=5):
    source = np.random.default_rng(seed)
    return source.normal(size=(n, k)), source.integers(0, k, n)


def in_batches(metric, output, target):
    metric.reset()
    for part in np.array_split(np.arange(len(output)), 4):
        metric.update(Tensor(output[part]), Tensor(target[part]))
    return metric.compute()


@given(CASES)
def test_metrics_of_classes_are_those_of_scikit_learn(seed):
    output, target = classes_case(seed)
    predicted = output.argmax(1)
    macro = {"average": "macro", "labels": range(5), "zero_division": 0.0}
    expected = {
        Accuracy(): sk.accuracy_score(target, predicted),
        TopK(2): sk.top_k_accuracy_score(target, output, k=2, labels=range(5)),
        Precision(): sk.precision_score(target, predicted, **macro),
        Recall(): sk.recall_score(target, predicted, **macro),
        F1(): sk.f1_score(target, predicted, **macro),
    }
    for metric, value in expected.items():
        assert in_batches(metric, output, target) == pytest.approx(value, abs=1e-12), metric.name
    own = confusion_matrix(target, predicted, 5)
    assert np.array_equal(own, sk.confusion_matrix(target, predicted, labels=range(5)))
    each = precision_recall_f1(own)["f1"]
    assert each == pytest.approx(sk.f1_score(target, predicted, **{**macro, "average": None}))


@given(CASES)
def test_metrics_of_numbers_are_those_of_scikit_learn(seed):
    source = np.random.default_rng(seed)
    output, target = source.normal(size=(2, 17, 1))
    for metric, function in (
        (MSE(), sk.mean_squared_error),
        (MAE(), sk.mean_absolute_error),
        (R2(), sk.r2_score),
    ):
        expected = function(target, output)
        assert in_batches(metric, output, target) == pytest.approx(expected, abs=1e-12)


def test_ties_of_top_k_go_to_the_first_class():
    output = np.zeros((3, 3))
    assert TopK(1)(output, np.array([0, 1, 2])) == pytest.approx(1 / 3)
    assert TopK(2)(output, np.array([0, 1, 2])) == pytest.approx(2 / 3)


def test_targets_without_spread():
    assert R2()(np.ones((3, 1)), np.ones((3, 1))) == 1.0
    assert R2()(np.zeros((3, 1)), np.ones((3, 1))) == 0.0


def test_errors():
    with pytest.raises(ShapeError, match="class indices"):
        Accuracy()(np.zeros((3, 2)), np.zeros((3, 1), np.int64))
    with pytest.raises(ShapeError, match="one shape"):
        MSE()(np.zeros((3, 1)), np.zeros(3))
    with pytest.raises(ConfigurationError, match="no batch came"):
        Accuracy().compute()
    with pytest.raises(ConfigurationError, match="no metric 'acuracy'"):
        as_metrics(["acuracy"])
    with pytest.raises(ConfigurationError, match="at least 1"):
        TopK(0)
    with pytest.raises(ShapeError, match="from 0 to 1"):
        confusion_matrix([2], [0], 2)
    with pytest.raises(ShapeError, match="one length"):
        confusion_matrix([1], [0, 1], 2)


def test_metrics_by_name():
    assert [m.name for m in as_metrics(["accuracy", TopK(3), "f1"])] == ["accuracy", "top3", "f1"]
    assert as_metrics("mse")[0].higher_is_better is False
