"""Batches of any structure: what of them the model is given, and what the loss."""

from collections import OrderedDict, UserDict, namedtuple
from typing import Any

import numpy as np
import pytest
from small_training import figures, weights

import nnscratch
from nnscratch import nn
from nnscratch.data import DataLoader, Dataset, StackDataset, TensorDataset
from nnscratch.errors import ConfigurationError, DTypeError, NonFiniteError, ShapeError
from nnscratch.tensors import Tensor
from nnscratch.train import Accuracy, Trainer, evaluate, fit, predict
from nnscratch.train.batches import TARGETS, inputs_of, on_device, parts_of, samples_in

RNG = np.random.default_rng(0)
A = RNG.normal(size=(40, 3)).astype(np.float32)
B = RNG.normal(size=(40, 2)).astype(np.float32)
Y = (A[:, 0] + B[:, 0] > 0).astype(np.int64)


class Two(nn.Module):
    """Two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 2), nn.Linear(2, 2)

    def forward(self, a: Any, b: Any, scale: float = 1.0) -> Any:
        return (self.left(a) + self.right(b)) * scale


class Pair(Two):
    """One input that is a pair."""

    def forward(self, both: Any) -> Any:  # type: ignore[override]
        return super().forward(*both)


class OneDictionary(Two):
    """One input that is a dictionary."""

    def forward(self, both: Any) -> Any:  # type: ignore[override]
        return super().forward(both["a"], both["b"])


def made(kind: type[nn.Module]) -> Any:
    nnscratch.manual_seed(3)
    return kind()


def outcome(kind: type[nn.Module], data: Any, **options: Any) -> Any:
    model = made(kind)
    validation = options.pop("validation", data)
    history = fit(
        model, data, 3, validation=validation, batch_size=16, shuffle=False, lr=0.05,
        metrics=["accuracy", "f1"], **options,
    )  # fmt: skip
    return figures(history), weights(model)


Sample = namedtuple("Sample", ["a", "b", "target"])


def rows(sample: Any) -> Any:
    class Rows(Dataset):
        def __len__(self) -> int:
            return 40

        def __getitem__(self, index: int) -> Any:
            return sample(A[index], B[index], int(Y[index]))

    return Rows()


FORMS = {
    "arrays": (Two, lambda: (A, B, Y)),
    "data set": (Two, lambda: TensorDataset(A, B, Y)),
    "tuples": (Two, lambda: rows(lambda a, b, y: (a, b, y))),
    "lists": (Two, lambda: rows(lambda a, b, y: [a, b, y])),
    "named tuples": (Two, lambda: rows(Sample)),
    "dictionary of arrays": (Two, lambda: {"a": A, "b": B, "y": Y}),
    "stack": (Two, lambda: StackDataset(b=B, a=A, label=Y.tolist())),
    "ordered": (Two, lambda: rows(lambda a, b, y: OrderedDict(a=a, b=b, target=y))),
    "no dict": (Two, lambda: rows(lambda a, b, y: UserDict(a=a, b=b, labels=y))),
    "pair": (Pair, lambda: rows(lambda a, b, y: ((a, b), y))),
    "nested": (OneDictionary, lambda: rows(lambda a, b, y: ({"a": a, "b": b}, y))),
    "pair, taken apart": (Two, lambda: rows(lambda a, b, y: ((a, b), y))),
    "nested, taken apart": (Two, lambda: rows(lambda a, b, y: ({"b": b, "a": a}, y))),
    "dictionary of one pair": (Pair, lambda: rows(lambda a, b, y: {"some": (a, b), "y": y})),
    "dictionary of pairs": (Pair, lambda: rows(lambda a, b, y: {"both": (a, b), "targets": y})),
} | {
    f"under {key}": (Two, lambda key=key: rows(lambda a, b, y: {"a": a, "b": b, key: y}))
    for key in TARGETS
}


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_all_forms_train_alike(form: str, compile: bool) -> None:
    kind, data = FORMS[form]
    expected = outcome(Two, (A, B, Y), compile=compile)
    assert expected[0][-1]["train_accuracy"] > expected[0][0]["train_accuracy"]
    found = outcome(kind, data(), compile=compile)
    assert found == expected


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_are_evaluated_and_predicted_alike(form: str) -> None:
    kind, data = FORMS[form]
    expected = predict(made(Two), (A, B, Y), batch_size=16)
    assert expected.shape == (40, 2)
    np.testing.assert_array_equal(predict(made(kind), data(), batch_size=16), expected)
    judged = evaluate(made(kind), data(), metrics=["precision"], batch_size=16)
    assert judged == evaluate(made(Two), (A, B, Y), metrics=["precision"], batch_size=16)
    assert judged["accuracy"] == pytest.approx((expected.argmax(1) == Y).mean())


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_function_makes_the_batches(compile: bool, accumulate: int) -> None:
    def other(batch: Any) -> Any:
        seen.append(len(batch))
        _words, number, (first, second) = batch
        return first, second, number

    seen: list[int] = []
    data = rows(lambda a, b, y: ("some words", y, (a, b)))
    options = {"compile": compile, "accumulate": accumulate}
    assert outcome(Two, data, batch=other, **options) == outcome(Two, (A, B, Y), **options)
    assert set(seen) == {3}
    judged = evaluate(made(Two), data, batch=other)
    assert judged == evaluate(made(Two), (A, B, Y))
    np.testing.assert_array_equal(predict(made(Two), data, batch=other), predict(made(Two), (A, B)))


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("gives_output", [False, True])
def test_a_step_of_ones_own(gives_output: bool, compile: bool) -> None:
    def step(model: Any, batch: Any) -> Any:
        output = model(batch["first"], batch["second"])
        loss = nn.functional.cross_entropy(output, batch["y"])
        return (loss, output) if gives_output else loss

    data = {"first": A, "second": B, "y": Y}
    model = made(Two)
    options = {"batch_size": 16, "shuffle": False, "lr": 0.05, "compile": compile}
    history = fit(model, data, 3, validation=data, step=step, **options)
    expected = made(Two)
    other = fit(expected, (A, B, Y), 3, validation=(A, B, Y), **options)
    assert weights(model) == weights(expected)
    names = [name for name in other.columns if gives_output or "accuracy" not in name]
    for name in set(names) - {"seconds"}:
        assert history[name] == other[name]
    assert history.columns == names
    judged = evaluate(made(Two), data, step=step)
    assert judged["loss"] == evaluate(made(Two), (A, B, Y))["loss"]


def test_a_step_without_targets() -> None:
    """An autoencoder on batches of one tensor."""
    model = nn.Linear(3, 3)
    history = fit(model, (A,), 30, step=lambda m, b: (m(b[0]) - b[0]).square().mean(), lr=0.1)
    assert history["train_loss"][-1] < 0.1 * history["train_loss"][0]
    other = nn.Linear(3, 3)
    found = fit(other, (A,), 30, batch=lambda b: (b[0], b[0]), lr=0.1)
    assert found["train_loss"][-1] < 0.1 * found["train_loss"][0]
    same = fit(nn.Linear(3, 3), A, 30, batch=lambda x: (x, x), lr=0.1)
    assert same["train_loss"][-1] < 0.1 * same["train_loss"][0]


def test_a_step_that_returns_no_loss() -> None:
    with pytest.raises(ConfigurationError, match=r"must return the loss, a tensor.*got float"):
        fit(nn.Linear(3, 3), (A,), 1, step=lambda m, b: 1.0)
    with pytest.raises(ConfigurationError, match="computes the loss by itself"):
        Trainer(nn.Linear(3, 3), loss="mse", step=lambda m, b: 1.0)


class Named(nn.Module):
    """One input among others that need not be given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, other: Any = None, *, image: Any = None) -> Any:
        return self.layer(image)


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("kind", [lambda: nn.Linear(3, 2), lambda: nn.Sequential(nn.Linear(3, 2))])
def test_one_input_under_any_name(kind: Any, compile: bool) -> None:
    data = {"image": A, "label": Y}
    model, other, named = made(kind), made(kind), made(Named)
    options = {"compile": compile, "lr": 0.05, "shuffle": False}
    history = figures(fit(model, data, 3, validation=data, **options))
    assert history == figures(fit(other, (A, Y), 3, validation=(A, Y), **options))
    assert history == figures(fit(named, data, 3, validation=data, **options))
    np.testing.assert_array_equal(predict(model, data), predict(model, A))
    np.testing.assert_array_equal(predict(named, data), predict(model, {"image": A}))
    found = made(kind)
    fit(found, {"all": {"image": A, "y": Y}}["all"], 3, batch=lambda b: dict(b), **options)
    assert weights(found) == weights(model)


def test_whole_numbers_in_a_dictionary_are_inputs_of_a_linear_layer() -> None:
    whole = np.arange(12).reshape(6, 2)
    labels = np.arange(6) % 2
    data = {"x": whole, "label": labels}
    found = fit(made(lambda: nn.Linear(2, 2)), data, 2, shuffle=False)
    expected = fit(made(lambda: nn.Linear(2, 2)), (whole, labels), 2, shuffle=False)
    assert figures(found) == figures(expected)
    assert predict(nn.Linear(2, 2), {"x": whole}).shape == (6, 2)


class Several(nn.Module):
    """Several outputs, as a dictionary with a tuple in it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        z = self.layer(x)
        return {"z": z, "parts": (z * 2, z.mean())}


@pytest.mark.parametrize("compile", [False, True])
def test_several_outputs_and_several_targets(compile: bool) -> None:
    def loss(output: Any, target: Any) -> Any:
        numbers, classes = target
        return (output["parts"][0] - numbers).square().mean() + nn.functional.cross_entropy(
            output["z"], classes
        )

    data = rows(lambda a, b, y: (a, (b, y)))
    nnscratch.manual_seed(1)
    model = Several()
    history = fit(model, data, 10, validation=data, loss=loss, lr=0.05, compile=compile)
    assert history.columns == ["epoch", "train_loss", "val_loss", "lr", "seconds"]
    assert history["train_loss"][-1] < history["train_loss"][0]
    found = predict(model, data, batch_size=16)
    assert found["z"].shape == (40, 2)
    np.testing.assert_array_equal(found["parts"][0], found["z"] * 2)
    assert found["parts"][1].shape == (3,)
    with pytest.raises(ConfigurationError, match=r"accuracy compares one tensor.*got dict"):
        evaluate(model, data, loss=loss, metrics=["accuracy"])
    with pytest.raises(ConfigurationError, match=r"one of dict and list.*give loss="):
        fit(model, data, 1)


def test_what_is_no_tensor_is_handed_on() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Any, names: Any) -> Any:
            seen.extend(names)
            return self.layer(x)

    seen: list[str] = []
    data = rows(lambda a, b, y: (a, f"row {y}", y))
    fit(Named(), data, 2, batch_size=16)
    assert set(seen) == {"row 0", "row 1"}


def test_arrays_of_a_collate_fn_become_tensors() -> None:
    loader = DataLoader(
        rows(lambda a, b, y: (a, b, y)), 16,
        collate_fn=lambda samples: tuple(np.stack(column) for column in zip(*samples, strict=True)),
    )  # fmt: skip
    # Batches of the validation are of another size, so that its sums round differently.
    assert outcome(Two, loader)[1] == outcome(Two, (A, B, Y))[1]


@pytest.mark.parametrize("place", [0, 1])
def test_where_a_nan_of_several_inputs_is(place: int) -> None:
    spoiled = [A.copy(), B.copy()]
    spoiled[place][5, 1] = np.nan
    with pytest.raises(NonFiniteError, match=f"the input {place + 1} of the batch have 1 of"):
        fit(made(Two), (*spoiled, Y), 1)
    with pytest.raises(NonFiniteError, match=f"the input '{'ab'[place]}' of the batch have 1 of"):
        fit(made(Two), {"a": spoiled[0], "b": spoiled[1], "y": Y}, 1)


def test_a_nan_in_batches_of_a_step() -> None:
    spoiled = A.copy()
    spoiled[3, 0] = np.nan
    with pytest.raises(NonFiniteError, match="the tensors of the batch have 1 of"):
        fit(nn.Linear(3, 3), (spoiled,), 1, step=lambda m, b: m(b[0]).square().mean())


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((1,), "got 1 tensors a batch"),
        ({"x": 1}, "dictionaries of 'x'"),
        ({"y": 1}, "dictionaries of 'y'"),
        ({"x": 1, "y": 2, "label": 3}, "has 'label' and 'y', and only one can be the target"),
        (3, "got a int a batch"),
    ],
)
def test_batches_without_a_target(batch: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parts_of(batch)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            (A, Y),
            r"2 tensors a batch, so .* given 1 by place, but .* takes \(a, b, scale\): missing",
        ),
        (
            {"a": A, "c": B, "y": Y},
            r"'a', 'c', 'y', so that the model is given 'a', 'c', but its forward takes \(a, b,",
        ),
    ],
)
def test_inputs_that_the_model_does_not_take(data: Any, message: str) -> None:
    for call in (lambda: fit(made(Two), data, 1), lambda: evaluate(made(Two), data)):
        with pytest.raises(ConfigurationError, match=message):
            call()
    with pytest.raises(ConfigurationError, match="but its forward takes"):
        predict(made(Two), {"a": A})


def test_targets_that_the_model_asks_for_are_inputs_of_predict() -> None:
    class WithLabels(nn.Module):
        def forward(self, x: Any, labels: Any) -> Any:
            return labels

    model = WithLabels()
    assert inputs_of({"x": 1, "labels": 2, "y": 3}, model) == ((), {"x": 1, "labels": 2})
    assert inputs_of((1, 2), model) == ((1, 2), {})
    assert inputs_of((1, 2), nn.Linear(1, 1)) == ((1,), {})
    assert inputs_of((1,), nn.Linear(1, 1)) == ((1,), {})


def test_how_many_samples_a_batch_has() -> None:
    ones = [Tensor(np.ones(shape)) for shape in ((4, 2), (4,), ())]
    assert samples_in((ones[0], ones[1])) == 4
    assert samples_in({"x": ones[0], "words": ["a"] * 4}) == 4
    assert samples_in(((ones[0], ones[2]), "words")) == 4
    assert samples_in(("words", 3)) == 1


def test_batches_that_are_there_are_not_copied() -> None:
    batch = [Tensor(A), (Tensor(B), {"y": Tensor(Y)}), "words"]
    assert on_device(batch, None)[0] is batch[0]
    assert on_device(batch[:1], nnscratch.device("cpu")) == batch[:1]
    assert on_device(UserDict(x=A), None)["x"].array is A


# Classes along axis 1, whatever the rank.


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("shape", [(), (5,), (3, 4)])
def test_accuracy_of_any_rank(shape: tuple[int, ...], compile: bool) -> None:
    """With one layer for each place, so that outputs are (N, K, ...) and targets (N, ...)."""

    class Places(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 4 * int(np.prod(shape)))

        def forward(self, x: Any) -> Any:
            return self.layer(x).reshape(len(x), 4, *shape)

    targets = RNG.integers(0, 4, size=(40, *shape))
    nnscratch.manual_seed(2)
    model = Places()
    outputs = predict(model, A)
    hits = outputs.argmax(1) == targets
    for ignored in (None, 2, -100):
        y = targets.copy()
        counts = np.ones_like(hits)
        loss: Any = nn.CrossEntropyLoss()
        if ignored is not None:
            y[:7] = ignored
            counts = y != ignored
            loss = nn.CrossEntropyLoss(ignore_index=ignored)
        expected = hits[counts].mean()
        found = evaluate(model, (A, y), loss=loss, metrics=["accuracy", "top5", "f1"])
        assert found["accuracy"] == pytest.approx(expected)
        assert found["top5"] == 1.0
        # With a rate of 0 the training's own figure is that too.
        row = fit(model, (A, y), 1, loss=loss, optimizer="sgd", lr=0.0, compile=compile).rows[0]
        assert row["train_accuracy"] == pytest.approx(expected)
    with pytest.raises(ShapeError, match=r"\(N, K, ...\) and \(N, ...\)"):
        Accuracy()(outputs, np.zeros((41, *shape), int))


def test_weights_that_balance_leave_out_what_is_ignored() -> None:
    y = np.where(np.arange(40) < 5, -100, Y)
    history = fit(nn.Linear(3, 2), (A, y), 1, class_weight="balanced")
    assert np.isfinite(history["train_loss"][0])
    with pytest.raises(ConfigurationError, match="counts the labels of arrays"):
        fit(nn.Linear(3, 2), (A, y), 1, class_weight="balanced", batch=lambda b: b)


def test_a_checkpoint_of_before_says_how_many_targets_there_were(tmp_path: Any) -> None:
    """A record without the number of judged targets has as many as samples."""
    from nnscratch.train.step import Totals

    totals = Totals()
    totals.load({"loss": 6.0, "right": 3, "samples": 4, "classes": True})
    assert totals.read() == {"loss": 1.5, "accuracy": 0.75}


def test_text_where_numbers_are_compared() -> None:
    with pytest.raises((ConfigurationError, DTypeError), match=r"Tensor and (list|tuple)"):
        fit(nn.Linear(3, 2), rows(lambda a, b, y: (a, "text")), 1)
