"""``nnscratch export``: the model of a run for programs that do not have this package."""

from __future__ import annotations

import codecs
import json
import os
import pprint
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nnscratch.cli import runs
from nnscratch.cli.images import ImagePreprocessor
from nnscratch.cli.shown import shown
from nnscratch.data import ClassTarget, TablePreprocessor, Tokenizer
from nnscratch.data.tokenizers import CharacterTokenizer
from nnscratch.errors import ConfigurationError, RunError
from nnscratch.interop.safetensors import save_model
from nnscratch.interop.standalone import exported
from nnscratch.interop.standalone.rows import (
    encode_rows,
    labelled,
    measured,
    pixels,
    rows_of_csv,
)
from nnscratch.interop.standalone.texts import Texts
from nnscratch.nn import Module
from nnscratch.train.choices import choose
from nnscratch.train.files import write_text
from nnscratch.train.language import scores_of
from nnscratch.train.mlp import MLP


def export_run(run: str, form: str, output: str | None, overwrite: bool) -> None:
    """Write the model of a run folder to a file of another form, and say how to use it.

    Raises:
        NNScratchError: whatever is to be mended.
    """
    choose(form, FORMS, "form")
    ending, write = FORMS[form]
    found = runs.open_run(run)
    place = Path(output or f"{found.folder.resolve().name}{ending}")
    if not place.name.endswith(ending):
        raise ConfigurationError(f"{place}: the name of a {form} file must end in {ending}")
    if not place.absolute().parent.is_dir():
        raise ConfigurationError(f"{place}: there is no such folder to write into")
    if place.name in runs.MADE and place.absolute().parent == found.folder.resolve():
        raise ConfigurationError(f"{place}: that would replace a file of the run; name another")
    if os.path.lexists(place) and not overwrite:
        raise RunError(f"{place}: there is such a file already; --overwrite replaces it")
    for line in write(found, place):
        print(shown(line))


def size_of(place: Path) -> str:
    """Return the size of a file as people read it."""
    size = place.stat().st_size
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"


def sample_of(found: runs.RunFolder) -> Any:
    """Return an input such as the model of a run takes: one sample of zeros."""
    pre = found.preprocessor
    if isinstance(pre, Tokenizer):
        return np.zeros((1, found.settings.block), np.int64)
    if isinstance(pre, ImagePreprocessor) and not isinstance(found.architecture, MLP):
        return np.zeros((1, *pre.shape), np.float32)
    width = pre.features_count if isinstance(pre, ImagePreprocessor) else pre.encoder.features
    return np.zeros((1, width), np.float32)


class OnlyScores(Module):
    """A model of texts that returns the scores of the next token, and no state beside them.

    Args:
        model: returns them alone, or a tuple that begins with them.
    """

    def __init__(self, model: Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Any) -> Any:
        """Return the scores (N, T, tokens)."""
        return scores_of(self.model, tokens)


def _safetensors(found: runs.RunFolder, place: Path) -> list[str]:
    """Write the weights by PyTorch's names, with what else is known of the model as metadata."""
    described = {
        "nnscratch.architecture": json.dumps(found.architecture.to_dict()),
        "nnscratch.preprocessing": json.dumps(found.preprocessor.to_dict()),
    }
    save_model(found.model(), place, {"format": "pt", **described})
    return [
        f"Written to {place}: the weights under PyTorch's names; as metadata the architecture and "
        "the preprocessing",
        "Read them with load_file of safetensors.torch, or of nnscratch.interop.safetensors",
    ]


def _numpy(found: runs.RunFolder, place: Path) -> list[str]:
    """Write a program that needs NumPy alone."""
    pre, model = found.preprocessor, found.model()
    made = exported(OnlyScores(model) if isinstance(pre, Tokenizer) else model, sample_of(found))
    write = _of_texts if isinstance(pre, Tokenizer) else _of_samples
    use, body, after, needs = write(found, made.texts)
    title = (
        f"{found.architecture.summary}.\n\nIt needs Python and NumPy 2.1 or newer. {use}\n"
        "Exported from a run of nnscratch; what each function computes is said in it."
    )
    write_text(place, made.text(title, body, after, needs))
    size = size_of(place)
    return [f"Written to {place} ({size}), which needs NumPy alone. {use}"]


def _of_samples(found: runs.RunFolder, texts: Texts) -> tuple[str, str, str, tuple[str, ...]]:
    """Return how a program of tables or images is used, its text, its end, and its imports."""
    pre = found.preprocessor
    assert not isinstance(pre, Tokenizer)
    if isinstance(pre.target, ClassTarget):
        texts.function(labelled)
        answers = "labelled(forward(features), CLASSES)"
        what = "the class and its probability"
        known = f"CLASSES = {_literal(list(pre.target.classes))}"
    else:
        texts.function(measured)
        scale = pre.target.standardiser
        answers = f"measured(forward(features), {scale.mean[0]!r}, {scale.std[0]!r})"
        what, known = "the number", ""
    if isinstance(pre, TablePreprocessor):
        texts.function(encode_rows)
        texts.function(rows_of_csv)
        read = pre.reading
        separator = read.separator if read is not None and read.separator else ","
        encoding = _encoding(read.encoding if read is not None else "")
        columns = pre.encoder.to_dict()["columns"]
        known += f"\nSEPARATOR, ENCODING = {separator!r}, {encoding!r}"
        known += f"\n# What training measured of each column.\nCOLUMNS = {_listed(columns)}"
        features = "encode_rows(rows, COLUMNS)"
        given, of = "rows", "each row, a dictionary with a value for each column"
        use = "`python {} rows.csv` prints a prediction for each row."
        main = _ROWS
    else:
        texts.function(pixels)
        features = f"pixels(images, {pre.shape}, {pre.white}, {pre.mean}, {pre.std})"
        if isinstance(found.architecture, MLP):
            features += ".reshape(len(images), -1)"
        given, of = "images", f"each image (N, {pre.height}, {pre.width}) of {pre.pixels}"
        use = "`python {} images.npy` prints a prediction for each image."
        main = _IMAGES
    body = (
        f"{known.strip()}\n\n\ndef predict({given}):\n"
        f'    """Return {what} for {of}."""\n'
        f"    features = {features}\n    return {answers}"
    )
    return use.format("FILE.py"), body.strip(), main, ("import sys",)


def _encoding(found: str) -> str:
    """Return the name by which Python knows an encoding, a mark at the beginning left out."""
    try:
        name = codecs.lookup(found or "utf-8").name
    except LookupError:
        name = "utf-8"
    return "utf-8-sig" if name in ("utf-8", "ascii") else name


def _of_texts(found: runs.RunFolder, texts: Texts) -> tuple[str, str, str, tuple[str, ...]]:
    """Return how a program of texts is used, its text, its end, and its imports."""
    pre, block = found.preprocessor, found.settings.block
    if not isinstance(pre, CharacterTokenizer):
        raise ConfigurationError(
            f"{found.folder}: this model reads pieces of bytes, and to cut a text into them takes "
            "more than NumPy; export it with --to safetensors"
        )
    body = f"CHARACTERS = {_literal(pre.characters)}\nBLOCK = {block}\n\n\n{_TEXTS}"
    return "`python FILE.py PROMPT` continues a text.", body, _TEXT, ("import sys",)


def _listed(values: list[Any]) -> str:
    inner = (textwrap.indent(_literal(one), "    ") for one in values)
    return "[\n" + "".join(f"{one},\n" for one in inner) + "]"


def _literal(value: Any) -> str:
    return pprint.pformat(value, width=90, sort_dicts=False)


_ROWS = '''def main():
    """Print a prediction for each row of a CSV file."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} FILE.csv")
    try:
        answers = predict(rows_of_csv(sys.argv[1], SEPARATOR, ENCODING))
    except (OSError, ValueError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
    for answer in answers:
        print(*answer if isinstance(answer, tuple) else [answer])


if __name__ == "__main__":
    main()'''
_IMAGES = '''def main():
    """Print a prediction for each image of an .npy file."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} IMAGES.npy")
    try:
        images = np.load(sys.argv[1], allow_pickle=False)
    except OSError as error:
        sys.exit(str(error))
    except (ValueError, EOFError):
        sys.exit(f"{sys.argv[1]}: this is no .npy file of numbers")
    try:
        answers = predict(images)
    except (TypeError, ValueError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
    for answer in answers:
        print(*answer)


if __name__ == "__main__":
    main()'''
_TEXTS = '''def scores(text):
    """Return the scores (tokens,) of the character that comes next."""
    unknown = [one for one in text if one not in CHARACTERS]
    if unknown or not text:
        raise ValueError(f"training never showed {unknown[0]!r}" if unknown else "there is no text")
    tokens = [CHARACTERS.index(one) for one in text[-BLOCK:]]
    # What stands behind a token has no effect on it.
    window = np.array([tokens + [0] * (BLOCK - len(tokens))])
    return forward(window)[0, len(tokens) - 1].astype(np.float64)


def continued(text, length=200, temperature=0.8, seed=0):
    """Return a text with so many more characters; temperature 0 takes the likeliest always."""
    chance = np.random.default_rng(seed)
    for _ in range(length):
        found = scores(text)
        if temperature:
            share = np.exp((found - found.max()) / temperature)
            place = chance.choice(len(share), p=share / share.sum())
        else:
            place = found.argmax()
        text += CHARACTERS[place]
    return text'''
_TEXT = '''def main():
    """Continue the text on the command line."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} PROMPT")
    try:
        print(continued(sys.argv[1]))
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()'''


def _onnx(found: runs.RunFolder, place: Path) -> list[str]:
    """Write an ONNX model."""
    from nnscratch.cli.onnx_form import write_onnx

    return write_onnx(found, place, sample_of(found), size_of)


FORMS: dict[str, tuple[str, Callable[[runs.RunFolder, Path], list[str]]]] = {
    "numpy": (".py", _numpy),
    "onnx": (".onnx", _onnx),
    "safetensors": (".safetensors", _safetensors),
}
"""The forms by name: how the file ends, and what writes it and says how it is used."""
