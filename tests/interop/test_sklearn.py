"""The estimators stand wherever scikit-learn takes one, and learn what its own networks learn."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas
import polars
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError
from nnscratch.interop.sklearn import NeuralNetClassifier, NeuralNetRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@parametrize_with_checks([NeuralNetClassifier(), NeuralNetRegressor()])
@pytest.mark.filterwarnings("ignore")
def test_every_check_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def small(**options: Any) -> NeuralNetClassifier:
    given: dict[str, Any] = {"hidden_layer_sizes": (8,), "random_state": 0}
    given |= {"learning_rate_init": 0.02, "max_iter": 40}
    return NeuralNetClassifier(**{**given, **options})


@pytest.mark.parametrize("load", [load_digits, load_breast_cancer, load_wine])
def test_it_classifies_as_well_as_mlp_classifier(load: Any) -> None:
    X, y = load(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.4, random_state=0, stratify=y)
    scores = []
    for kind in (NeuralNetClassifier, MLPClassifier):
        made = [kind((64,), batch_size=32, max_iter=30, random_state=seed) for seed in range(3)]
        fitted = [make_pipeline(StandardScaler(), one).fit(X, y) for one in made]
        scores.append(np.mean([one.score(X_test, y_test) for one in fitted]))
    assert scores[0] > scores[1] - 0.015


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_it_predicts_numbers_as_well_as_mlp_regressor(solver: str) -> None:
    X, y = load_diabetes(return_X_y=True, scaled=False)
    X, y = StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
    options: dict[str, Any] = {"solver": solver, "learning_rate_init": 0.003, "alpha": 1.0}
    options |= {"hidden_layer_sizes": (16,), "max_iter": 150}
    scores = [
        np.mean([kind(random_state=seed, **options).fit(X, y).score(X, y) for seed in range(3)])
        for kind in (NeuralNetRegressor, MLPRegressor)
    ]
    assert scores[0] > scores[1] - 0.04
    assert scores[0] > 0.4


def test_a_first_step_is_that_of_mlp_classifier(iris: Any) -> None:
    X, y = iris
    options: dict[str, Any] = {"solver": "sgd", "momentum": 0.0, "batch_size": 150, "alpha": 3.0}
    options |= {"learning_rate_init": 0.5, "max_iter": 1, "warm_start": True, "shuffle": False}
    theirs = MLPClassifier((8,), random_state=0, **options).fit(X, y)
    ours = NeuralNetClassifier((8,), random_state=0, **options).fit(X, y)
    for mine, W, b in zip(ours._linear(), theirs.coefs_, theirs.intercepts_, strict=True):
        with nnscratch.no_grad():
            mine.weight.copy_(nnscratch.tensor(W.T.copy()))
            mine.bias.copy_(nnscratch.tensor(b.copy()))
    ours.fit(X, y)
    theirs.fit(X, y)
    for W, expected in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(W, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)


def test_a_search_in_two_processes_finds_the_bits_of_one(iris: Any) -> None:
    search = [
        GridSearchCV(small(), {"alpha": [0.0, 1.0], "dropout": [0.0, 0.5]}, cv=2, n_jobs=jobs)
        for jobs in (1, 2)
    ]
    found = [one.fit(*iris) for one in search]
    np.testing.assert_array_equal(*[one.cv_results_["mean_test_score"] for one in found])
    np.testing.assert_array_equal(*[one.predict_proba(iris[0]) for one in found])


def test_tools_of_scikit_learn_take_it(iris: Any) -> None:
    X, y = iris
    assert cross_val_score(make_pipeline(StandardScaler(), small()), X, y, cv=3).mean() > 0.9
    fitted = small().fit(X, y)
    importance = permutation_importance(fitted, X, y, n_repeats=2, random_state=0)
    assert importance.importances_mean.argmax() in (2, 3)
    assert CalibratedClassifierCV(small(), cv=2).fit(X, y).score(X, y) > 0.9
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    assert not hasattr(again, "module_")


def test_a_fit_leaves_the_default_generator_as_it_was(iris: Any) -> None:
    before = nnscratch.get_rng_state()
    first = small(dropout=0.3).fit(*iris)
    assert (nnscratch.get_rng_state() == before).all()
    second = small(dropout=0.3).fit(*iris)
    np.testing.assert_array_equal(first.predict_proba(iris[0]), second.predict_proba(iris[0]))


@pytest.mark.parametrize("frame", [pandas.DataFrame, polars.DataFrame])
def test_data_frames_and_their_names(frame: Any) -> None:
    X, y = load_iris(return_X_y=True)
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    table = frame({name: X[:, place] for place, name in enumerate(names)})
    labels = np.array(["setosa", "versicolor", "virginica"])[y]
    fitted = small(max_iter=200).fit(table, labels)
    assert list(fitted.feature_names_in_) == names
    assert fitted.score(table, labels) > 0.9
    assert set(fitted.predict(table)) == set(labels)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(table[names[::-1]])


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix])
def test_sparse_inputs_give_what_dense_ones_give(kind: Any, iris: Any) -> None:
    X, y = np.maximum(iris[0], 0.0), iris[1]
    dense, thin = small().fit(X, y), small().fit(kind(X), y)
    np.testing.assert_allclose(thin.predict_proba(kind(X)), dense.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_computes_in_the_dtype_of_its_inputs(dtype: str, iris: Any) -> None:
    fitted = small().fit(iris[0].astype(dtype), iris[1])
    assert fitted.predict_proba(iris[0].astype(dtype)).dtype == dtype
    assert {str(one.dtype) for one in fitted.coefs_} == {dtype}


def test_class_weights_are_sample_weights(iris: Any) -> None:
    X, y = iris[0][:120], iris[1][:120]
    weights = {0: 1.0, 1: 5.0, 2: 0.5}
    by_class = small(class_weight=weights).fit(X, y)
    by_sample = small().fit(X, y, sample_weight=[weights[one] for one in y])
    np.testing.assert_array_equal(by_class.predict_proba(X), by_sample.predict_proba(X))
    balanced = small(class_weight="balanced").fit(X, y)
    assert not np.array_equal(balanced.predict_proba(X), small().fit(X, y).predict_proba(X))


def test_several_labels_and_several_targets() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 5))
    T = (X[:, :3] > 0).astype(int)
    fitted = small(max_iter=100).fit(X, T)
    assert fitted.predict(X).shape == fitted.predict_proba(X).shape == (200, 3)
    assert fitted.score(X, T) > 0.9
    Y = np.stack([X[:, 0], X[:, 1] - X[:, 2]], axis=1)
    numbers = NeuralNetRegressor((16,), learning_rate_init=0.01, random_state=0).fit(X, Y)
    assert numbers.predict(X).shape == (200, 2)
    assert numbers.score(X, Y) > 0.95


def test_partial_fits_and_warm_starts_go_on(iris: Any) -> None:
    X, y = iris
    whole = small(max_iter=6, shuffle=False, n_iter_no_change=99).fit(X, y)
    parts = small(shuffle=False)
    for _ in range(6):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_array_equal(whole.predict_proba(X), parts.predict_proba(X))
    # A warm start has another optimizer, as in MLPClassifier: one without a state goes on.
    options: dict[str, Any] = {"solver": "sgd", "momentum": 0.0, "n_iter_no_change": 99}
    whole = small(max_iter=6, shuffle=False, **options).fit(X, y)
    warm = small(max_iter=3, shuffle=False, warm_start=True, **options).fit(X, y).fit(X, y)
    np.testing.assert_array_equal(whole.predict_proba(X), warm.predict_proba(X))
    assert warm.n_iter_ == 6
    with pytest.raises(ValueError, match="classes not in"):
        warm.fit(X, y + 1)
    with pytest.raises(ValueError, match="classes not in"):
        small().partial_fit(X, y, classes=[0, 1])


def test_a_warm_start_takes_its_parameters_as_they_are(iris: Any) -> None:
    made = small(max_iter=2, warm_start=True).fit(*iris)
    before = made.predict_proba(iris[0])
    made.set_params(learning_rate_init=1e-12).fit(*iris)
    np.testing.assert_allclose(made.predict_proba(iris[0]), before, rtol=1e-8)
    made.set_params(solver="sgd", learning_rate_init=0.1).fit(*iris)
    assert type(made._fitted.optimizer) is nnscratch.optim.SGD


def test_partial_fits_scale_the_learning_rate_as_mlp_classifier_does(iris: Any) -> None:
    options: dict[str, Any] = {"solver": "sgd", "momentum": 0.0, "learning_rate": "invscaling"}
    options |= {"batch_size": 50, "shuffle": False, "learning_rate_init": 0.3, "random_state": 0}
    theirs, ours = MLPClassifier((8,), **options), NeuralNetClassifier((8,), **options)
    for _ in range(3):
        ours.partial_fit(*iris, classes=[0, 1, 2])
        theirs.partial_fit(*iris, classes=[0, 1, 2])
        rates = [group["lr"] for group in ours._fitted.optimizer.param_groups]
        np.testing.assert_allclose(rates, theirs._optimizer.learning_rate, rtol=1e-12)


def test_partial_fits_draw_other_masks(iris: Any) -> None:
    masks: list[np.ndarray] = []

    class Spy(nn.Dropout):
        def forward(self, x: Any) -> Any:
            out = super().forward(x)
            masks.append(out.detach().numpy() == 0)
            return out

    module = nn.Sequential(nn.Linear(4, 8), Spy(0.5), nn.Linear(8, 3))
    made = small(module=module, batch_size=150, compile=False, shuffle=False)
    for _ in range(2):
        made.partial_fit(*iris, classes=[0, 1, 2])
    assert not np.array_equal(masks[0], masks[-1])


def test_a_pickled_estimator_goes_on_where_it_was(iris: Any) -> None:
    X, y = iris
    first = small(shuffle=False, compile=True).partial_fit(X, y, classes=[0, 1, 2])
    second = pickle.loads(pickle.dumps(first))
    for one in (first, second):
        one.partial_fit(X, y)
    # The first call of a compiled step is eager, whose sums have another order.
    np.testing.assert_allclose(first.predict_proba(X), second.predict_proba(X), rtol=1e-12)


def test_it_stops_early_and_keeps_the_best(iris: Any) -> None:
    fitted = small(early_stopping=True, validation_fraction=0.3, max_iter=300).fit(*iris)
    scores = fitted.validation_scores_
    assert len(scores) == fitted.n_iter_ < 300
    assert max(scores) == fitted.best_validation_score_
    assert fitted.best_loss_ is None
    numbers = NeuralNetRegressor(early_stopping=True, random_state=0).fit(
        *load_diabetes(return_X_y=True)
    )
    assert len(numbers.validation_scores_) == numbers.n_iter_


@pytest.mark.parametrize("early", [False, True])
def test_a_warm_start_may_ask_for_early_stopping_or_no_more(early: bool, iris: Any) -> None:
    made = small(max_iter=3, warm_start=True, early_stopping=early).fit(*iris)
    made.set_params(early_stopping=not early).fit(*iris)
    assert (made.validation_scores_ is None) == early
    assert (made.best_loss_ is None) != early
    assert made.n_iter_ == 6


def test_a_warm_start_keeps_its_dtype(iris: Any) -> None:
    made = small(max_iter=3, warm_start=True).fit(iris[0].astype("float32"), iris[1]).fit(*iris)
    assert made.predict_proba(iris[0]).dtype == "float32"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"early_stopping": True}, "early_stopping=True needs all samples at once"),
        ({"solver": "lbfgs"}, "solver='lbfgs' needs all samples at once"),
        ({"learning_rate": "cosine"}, "learning_rate='cosine' spans all epochs"),
    ],
)
def test_partial_fits_are_refused_where_they_cannot_be(
    options: Any, message: str, iris: Any
) -> None:
    with pytest.raises(ValueError, match=f"partial_fit: {message}"):
        small(**options).partial_fit(*iris, classes=[0, 1, 2])


def test_whole_numbers_as_strings_are_no_targets() -> None:
    with pytest.raises(ValueError, match="could not convert string to float"):
        NeuralNetRegressor().fit(np.ones((3, 1)), ["1", "two", "3"])


def test_it_says_that_it_has_not_converged(iris: Any) -> None:
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\)"):
        small(max_iter=2).fit(*iris)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert small(max_iter=500, tol=0.01).fit(*iris).n_iter_ < 500


@pytest.mark.parametrize("solver", ["adamw", "rmsprop", "nadam", "adagrad", "lion-like"])
def test_any_optimizer(solver: str, iris: Any) -> None:
    if solver == "lion-like":
        made = small(solver=lambda parameters: nnscratch.optim.SGD(parameters, lr=0.1))
    else:
        made = small(solver=solver)
    assert made.fit(*iris).score(*iris) > 0.8


@pytest.mark.parametrize(
    "rate",
    ["invscaling", "adaptive", "cosine", "one_cycle", "step", "exponential", "plateau", "warmup"],
)
def test_any_schedule(rate: str, iris: Any) -> None:
    fitted = small(solver="sgd", learning_rate=rate, learning_rate_init=0.2).fit(*iris)
    assert fitted.score(*iris) > 0.8


@pytest.mark.parametrize("compile", [False, True])
def test_a_network_of_ones_own(compile: bool, iris: Any) -> None:
    def network(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Linear(inputs, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, outputs)
        )

    made = small(module=network, compile=compile).fit(*iris)
    assert made.score(*iris) > 0.9
    own = nn.Sequential(nn.Linear(4, 3))
    before = own[0].weight.detach().numpy().copy()
    assert small(module=own).fit(*iris).score(*iris) > 0.8
    np.testing.assert_array_equal(own[0].weight.detach().numpy(), before)
    with pytest.raises(ConfigurationError, match=r"expected logits of shape \(150, 3\)"):
        small(module=nn.Sequential(nn.Linear(4, 3), nn.Flatten(0))).fit(*iris)
    with pytest.raises(ConfigurationError, match=r"expected logits of shape \(150, 3\)"):
        small(module=nn.Sequential(nn.Linear(4, 5))).fit(*iris)
    with pytest.raises(ConfigurationError, match="returned int"):
        small(module=lambda inputs, outputs: 3).fit(*iris)


def test_compiled_and_eager_networks_are_alike(iris: Any) -> None:
    slow, quick = (small(compile=one).fit(*iris) for one in (False, True))
    np.testing.assert_allclose(quick.predict_proba(iris[0]), slow.predict_proba(iris[0]), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes: expected whole numbers above 0"),
        ({"activation": "rleu"}, "did you mean 'relu'"),
        ({"solver": "adm"}, "did you mean 'adam'"),
        ({"learning_rate": "cosin"}, "did you mean 'cosine'"),
        ({"solver": 3}, "solver: expected a name or a function"),
        ({"activation": None}, "there is no activation None"),
        ({"module": 3}, "module: expected an nn.Module or a function"),
        ({"shuffle": "no"}, "shuffle: expected True or False, got 'no'"),
        ({"compile": 2}, "compile: expected True, False or None"),
        ({"alpha": -1.0}, "alpha: expected a number of at least 0, got -1.0"),
        ({"batch_size": 0}, "batch_size: expected 'auto' or a whole number above 0"),
        ({"max_iter": 1.5}, "max_iter: expected a whole number above 0"),
        ({"dropout": 1.0}, "dropout: expected a number from 0 to below 1"),
        ({"learning_rate_init": 1e30, "solver": "sgd"}, "learning_rate_init is too large"),
        ({"early_stopping": True, "validation_fraction": 0.001}, "should be greater or equal"),
    ],
)
def test_what_makes_no_sense_is_named(options: Any, message: str, iris: Any) -> None:
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
        small(**options).fit(*iris)


def test_weights_of_zero_are_refused_if_all_are(iris: Any) -> None:
    with pytest.raises(ValueError, match="at least one non-zero"):
        small().fit(*iris, sample_weight=np.zeros(150))
