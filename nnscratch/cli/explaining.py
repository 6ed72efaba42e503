"""``nnscratch explain``: one training step of a saved model, call by call."""

from __future__ import annotations

from typing import Any

from nnscratch.array import as_device
from nnscratch.array.device import namespace_on
from nnscratch.cli import runs
from nnscratch.cli.inputs import inputs_from
from nnscratch.cli.networks import some_of
from nnscratch.cli.shown import shown
from nnscratch.data import Tokenizer, read_text
from nnscratch.errors import DataError
from nnscratch.inspect.explaining import explain
from nnscratch.inspect.explanations import Explanation, check_ending
from nnscratch.nn.functional import cross_entropy
from nnscratch.tensors import as_tensor
from nnscratch.train.choices import make_loss

TOKENS = 16
"""How many tokens of a text a step is shown for; every number of a long one is far too much."""


def explain_run(
    run: str, data: str | None, output: str | None, samples: int, device: str | None
) -> None:
    """Take one training step of a run's model on a few samples, and print it or write its page.

    Raises:
        NNScratchError: whatever is to be mended.
    """
    if output is not None:
        check_ending(output)
    namespace_on(as_device(device or "cpu"))
    found = runs.open_run(run)
    source = _source(found) if data is None else data
    if isinstance(found.preprocessor, Tokenizer):
        explanation = _of_text(found, source, samples, device)
    else:
        explanation = _of_samples(found, source, samples, device)
    if output is None:
        print(shown(explanation.text, len(explanation.text)))
        return
    explanation.save(output)
    print(shown(f"{len(explanation.steps):,} calls of one training step written to {output}"))


def _source(found: runs.RunFolder) -> str:
    """Return the sample in a run folder, or else what the model was trained on."""
    for name in (runs.SAMPLE, runs.SAMPLE_IMAGES):
        if (found.folder / name).exists():
            return str(found.folder / name)
    return str(found.settings.data)


def _of_samples(
    found: runs.RunFolder, source: str, samples: int, device: str | None
) -> Explanation:
    pre = found.preprocessor
    assert not isinstance(pre, Tokenizer)
    inputs = inputs_from(source, pre, found.settings, labelled=True)
    assert inputs.targets is not None
    pair = inputs.features, inputs.targets
    x, y = (_on(part, device) for part in some_of(pair, samples, pre, found.architecture))
    smoothing = found.settings.label_smoothing or 0.0
    loss = make_loss(found.settings.loss, inputs.targets.dtype, None, smoothing)
    return explain(found.model(device).train(), x, loss=loss, target=y)


def _of_text(found: runs.RunFolder, source: str, samples: int, device: str | None) -> Explanation:
    tokenizer, length = found.tokenizer, min(TOKENS, found.settings.block)
    file = read_text(source)
    tokens = tokenizer.encode(file.text, file.source)
    count = min(samples, (len(tokens) - 1) // length)
    if count < 1:
        raise DataError(
            f"{file.source}: expected at least {length + 1} {tokenizer.unit}s, got {len(tokens)}; "
            "name a longer text with --data"
        )
    x, y = (
        _on(tokens[start : start + count * length].reshape(count, length), device).long()
        for start in (0, 1)
    )
    return explain(found.model(device).train(), x, loss=_next_token, target=y)


def _next_token(output: Any, target: Any) -> Any:
    scores = output[0] if isinstance(output, tuple) else output
    return cross_entropy(scores.flatten(0, 1), target.flatten())


def _on(array: Any, device: str | None) -> Any:
    return as_tensor(array) if device is None else as_tensor(array).to(device=device)
