"""Texts from files, and the windows of tokens that a language model is trained on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.data._io import FilePath, open_data_file
from nnscratch.data.dataset import TensorDataset
from nnscratch.data.file_kinds import as_utf8, unpack
from nnscratch.errors import ConfigurationError, DataError
from nnscratch.tensors import Tensor


@dataclass(frozen=True)
class TextFile:
    r"""A text, and how its file was read.

    Attributes:
        source: the name of the file.
        text: the text, whose lines end in "\\n".
        encoding: "UTF-8", "UTF-16", "Windows-1252" and so on.
        compression: "gzip", "zip" and so on; empty for none.
    """

    source: str
    text: str
    encoding: str
    compression: str


def read_text(path: FilePath) -> TextFile:
    r"""Read a text file in UTF-8, UTF-16, UTF-32, Windows-1252 or Latin-1, compressed or not.

    The encoding is recognised, and line ends of Windows become "\\n".

    Raises:
        DataError: if the file cannot be read, is empty, or is no text.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "poem.txt")
    ...     _ = path.write_bytes("Sah ein Knab\r\nein Röslein stehn".encode("cp1252"))
    ...     found = read_text(path)
    >>> found.text, found.encoding
    ('Sah ein Knab\nein Röslein stehn', 'Windows-1252')
    """
    source = os.fspath(path)
    handle, _ = open_data_file(path)
    with handle:
        raw = handle.read()
    raw, compression = unpack(raw, source, "text")
    raw, encoding = as_utf8(raw, source, "text")
    text = raw.decode().replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise DataError(f"{source}: the file is empty: there is no text in it")
    return TextFile(source, text, encoding, compression)


def split_text(
    tokens: npt.NDArray[np.int32],
    block: int,
    validation: float = 0.1,
    test: float = 0.0,
    name: str = "the text",
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32] | None, npt.NDArray[np.int32] | None]:
    """Cut a text into parts to train on, to validate and to test, which do not overlap.

    The first part is for the training, the last for the test. A part that is wanted has a window
    and the token behind it at least.

    Args:
        tokens: (T,) the text.
        block: how many tokens a window has.
        validation: the share for the validation; 0 for none.
        test: the share for the test; 0 for none.
        name: what errors call the text.

    Returns:
        The three parts, views of the tokens; None for one that is not wanted.

    Raises:
        ConfigurationError: if the shares leave nothing to train on.
        DataError: if the text is too short for such windows.

    >>> [len(part) for part in split_text(np.arange(100, dtype=np.int32), 8, 0.1, 0.2)]
    [70, 10, 20]
    """
    if not (0.0 <= validation < 1.0 and 0.0 <= test < 1.0 and validation + test < 1.0):
        raise ConfigurationError(
            f"validation ({validation}) and test ({test}) leave nothing to train on"
        )
    count, least = len(tokens), block + 1
    held = _held_out(count, block, (validation, test))
    rest = count - sum(held)
    if rest < least:
        parts = 1 + sum(1 for share in (validation, test) if share)
        needed = parts * least
        if count >= needed:
            named = zip(("validation", "test"), (validation, test), held, strict=True)
            shares = [f"{part} ({share:g} of {count:,} is {size:,})"
                      for part, share, size in named if size > least]  # fmt: skip
            raise DataError(
                f"{name}: {max(rest, 0):,} of {count:,} tokens are left to train on, too few for a "
                f"window of {block} and the token behind it: {' and '.join(shares)} take the rest; "
                "give a smaller share, or a longer text"
            )
        smaller = (size for size in range(block - 1, 0, -1)
                   if count - sum(_held_out(count, size, (validation, test))) > size)  # fmt: skip
        most = next(smaller, 0)
        raise DataError(
            f"{name}: {count:,} tokens are too few for windows of {block}: {parts} parts (to "
            f"train on{', to validate' if validation else ''}{', to test' if test else ''}) of "
            f"{least} tokens need {needed:,} at least; give a longer text"
            + (f", or a block of {most} or less" if most else "")
        )
    judged, tested = tokens[rest : rest + held[0]], tokens[rest + held[0] :]
    return tokens[:rest], judged if validation else None, tested if test else None


def _held_out(count: int, block: int, shares: tuple[float, float]) -> list[int]:
    """How many tokens the parts take that are not trained on: their shares, a window at least."""
    return [max(round(share * count), block + 1) if share else 0 for share in shares]


class TextWindows(TensorDataset):
    """Windows of a text, one behind the other: a sample is T tokens, and what follows each.

    So every position of a window teaches.
    ``shift`` moves all windows by some tokens, so that in every epoch other tokens come first.

    Args:
        tokens: (N,) the text.
        block: T, how many tokens a window has.
        spare: how far the windows can be shifted; so many tokens may be left over at the end.

    Raises:
        ConfigurationError: if the block is not positive.
        DataError: if the text is shorter than a window, one token and what is spared.

    >>> windows = TextWindows(np.arange(10), 3, spare=2)
    >>> len(windows), [part.tolist() for part in windows[1]]
    (2, [[3, 4, 5], [4, 5, 6]])
    >>> windows.shift(2)
    >>> [part.tolist() for part in windows[1]]
    [[5, 6, 7], [6, 7, 8]]
    """

    def __init__(self, tokens: npt.NDArray[np.integer[Any]], block: int, spare: int = 0) -> None:
        if block < 1 or spare < 0:
            raise ConfigurationError(
                f"a window has one token at least, got block {block} and spare {spare}"
            )
        if len(tokens) <= block + spare:
            raise DataError(
                f"windows of {block} tokens need a text of {block + spare + 1} at least, got one "
                f"of {len(tokens)}: give a longer text or a smaller block"
            )
        self.tokens, self.block, self.spare = tokens, block, spare
        super().__init__(*self._windows(0))

    def _windows(self, first: int) -> tuple[Tensor, Tensor]:
        count = (len(self.tokens) - 1 - self.spare) // self.block
        stop = first + count * self.block
        inputs, targets = self.tokens[first:stop], self.tokens[first + 1 : stop + 1]
        shape = (count, self.block)
        return Tensor(inputs.reshape(shape)), Tensor(targets.reshape(shape))

    def shift(self, first: int) -> None:
        """Let the first window begin at that token, from 0.

        Raises:
            ConfigurationError: if it is beyond what is spared.
        """
        if not 0 <= first <= self.spare:
            raise ConfigurationError(f"windows can be shifted by 0 to {self.spare}, got {first}")
        self.arrays = tuple(one.array for one in self._windows(first))
