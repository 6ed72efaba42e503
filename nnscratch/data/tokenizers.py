"""Tokenizers: text as indices of characters, or of pieces of bytes that stand together often."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.data import _records
from nnscratch.data._io import FilePath, open_data_file
from nnscratch.errors import CheckpointError, ConfigurationError, DataError

Tokens = npt.NDArray[np.int32]
_CODES = np.dtype("<u4")
_MOST_SHOWN = 60
# A token of bytes ends at the latest within the fourth byte of a character.
_LONGEST_PENDING = 8
# Where a text may be cut so that its pieces have the tokens of the whole: behind a line end that
# stands between two characters that are no spaces.
_CUT = re.compile(r"(?<=\S\n)(?=\S)")
_PIECE = 1 << 20


class Tokenizer(ABC):
    """Converts a text to indices of tokens and back.

    Attributes:
        unit: what a token is called, "character" or "token".
    """

    unit: str

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of tokens."""

    @abstractmethod
    def encode(self, text: str, name: str = "the text") -> Tokens:
        """Return the indices of the tokens of a text, (T,) int32.

        Args:
            text: the text.
            name: what errors call it, such as the name of its file.

        Raises:
            DataError: if the text has a character that there is no token for.
        """

    @abstractmethod
    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of tokens."""

    def stream(self, tokens: Iterable[int]) -> Iterator[str]:
        """Yield the text of tokens, each piece as soon as its characters are whole."""
        pending: list[int] = []
        for token in tokens:
            pending.append(int(token))
            text = self.decode(pending)
            if not text.endswith("\ufffd") or len(pending) >= _LONGEST_PENDING:
                yield text
                pending = []
        if pending:
            yield self.decode(pending)

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """What ``tokenizer_from_dict`` reads, in plain JSON types."""


class CharacterTokenizer(Tokenizer):
    """One token for each character that a text has, in the order of their code points.

    Args:
        characters: all of them, each once.

    Raises:
        ConfigurationError: if there are none, or one is there twice.

    >>> tokenizer = CharacterTokenizer.fit("banana bread")
    >>> tokenizer.size, tokenizer.encode("bad").tolist()
    (7, [2, 1, 3])
    >>> tokenizer.decode([2, 1, 3])
    'bad'
    """

    unit = "character"

    def __init__(self, characters: str) -> None:
        if not characters or len(set(characters)) != len(characters):
            raise ConfigurationError("a vocabulary needs characters, each of them once")
        _need_characters(characters, "the vocabulary")
        self.characters = "".join(sorted(characters))
        self._codes = _code_points(self.characters)

    @classmethod
    def fit(cls, text: str) -> CharacterTokenizer:
        """Return the tokenizer with the characters of a text.

        Raises:
            DataError: if it has half of a surrogate pair, which is no character.
        """
        _need_characters(text, "the text")
        codes = np.unique(_code_points(text))
        return cls(codes.tobytes().decode("utf-32-le"))

    @property
    def size(self) -> int:
        """The number of characters."""
        return len(self._codes)

    def encode(self, text: str, name: str = "the text") -> Tokens:
        """Return the index of each character, (T,) int32.

        Raises:
            DataError: naming the first character that is not in the vocabulary, and its place.
        """
        codes = _code_points(text)
        found = np.searchsorted(self._codes, codes)
        wrong = self._codes[np.minimum(found, self.size - 1)] != codes
        if wrong.any():
            place = int(np.argmax(wrong))
            line = text.count("\n", 0, place) + 1
            column = place - text.rfind("\n", 0, place)
            kinds = len(np.unique(codes[wrong]))
            further = f", and {kinds - 1} further characters" if kinds > 1 else ""
            raise DataError(
                f"{name}: line {line}, column {column}: the character {text[place]!r} "
                f"(U+{ord(text[place]):04X}) is not among the {self.size} of the vocabulary"
                f"{further}: leave it out, or train on a text that has it "
                f"(the vocabulary: {self._shown})"
            )
        return found.astype(np.int32)

    @property
    def _shown(self) -> str:
        printable = "".join(one for one in self.characters if one.isprintable())
        return printable if len(printable) <= _MOST_SHOWN else f"{printable[:_MOST_SHOWN]}..."

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of tokens."""
        return "".join(self.characters[token] for token in tokens)

    def to_dict(self) -> dict[str, Any]:
        """What ``tokenizer_from_dict`` reads, in plain JSON types."""
        return {
            "form": "tokenizer",
            "version": 1,
            "kind": "characters",
            "content": self.characters,
        }


class BytePairTokenizer(Tokenizer):
    """Byte-level byte-pair encoding, as GPT-2 has it: every text has tokens, and they give it back.

    It begins with the 256 bytes, and makes one token of the two that stand together most often,
    again and again. The work is done by the ``tokenizers`` library.

    Args:
        content: what a file ``tokenizer.json`` of that library holds; its truncation and padding
            are left out.

    Raises:
        ConfigurationError: if the library is not installed.
        DataError: if the content is something else than byte-level byte-pair encoding.

    Source: Sennrich, Haddow and Birch 2016, arXiv:1508.07909; Radford and others 2019.

    >>> tokenizer = BytePairTokenizer.fit("to be or not to be, to be", size=270)
    >>> tokens = tokenizer.encode("to be or not")
    >>> len(tokens) < len("to be or not"), tokenizer.decode(tokens)
    (True, 'to be or not')
    """

    unit = "token"

    def __init__(self, content: Mapping[str, Any]) -> None:
        library = _import_tokenizers()
        model, decoder = content.get("model"), json.dumps(content.get("decoder"))
        if not isinstance(model, Mapping) or model.get("type") != "BPE":
            raise DataError("expected a byte-pair encoding (a model of type 'BPE')")
        if '"ByteLevel"' not in decoder:
            raise DataError(
                "expected an encoding of bytes (a decoder of type 'ByteLevel'), as GPT-2 has it"
            )
        try:
            self._tokenizer = library.Tokenizer.from_str(json.dumps(content))
        except Exception as error:  # the library raises no narrower class
            raise DataError(f"the tokenizers library cannot use it ({error})") from None
        # Settings for batches of sentences, by which tokens would be lost or put behind each piece.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # Others put something before each text, or join what stands on two sides of a line end.
        words, added = content.get("pre_tokenizer") or {}, content.get("added_tokens") or []
        self._may_be_cut = (
            content.get("normalizer") is None
            and words.get("type") == "ByteLevel"
            and not words.get("add_prefix_space", True)
            and words.get("use_regex", True)
            and not any(one.get("lstrip") or one.get("rstrip") for one in added)
            and not any(character.isspace() for one in added for character in one["content"])
        )
        self._size = max(self._tokenizer.get_vocab().values(), default=-1) + 1

    @classmethod
    def fit(cls, text: str, size: int = 2048) -> BytePairTokenizer:
        """Return a tokenizer with at most ``size`` tokens that was trained on a text.

        Raises:
            ConfigurationError: if the size is not above 256, the number of bytes, or the library
                is not installed.
            DataError: if the text has half of a surrogate pair, which is no character.
        """
        if size <= 256:
            raise ConfigurationError(
                f"a byte-pair encoding needs more tokens than the 256 bytes, got {size}"
            )
        _need_characters(text, "the text")
        library = _import_tokenizers()
        made = library.Tokenizer(library.models.BPE())
        made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=size,
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        made.train_from_iterator(_pieces(text), trainer)
        return cls(json.loads(made.to_str()))

    @classmethod
    def read(cls, path: FilePath) -> BytePairTokenizer:
        """Read a file ``tokenizer.json``, of this or of another program.

        Raises:
            DataError: if it cannot be read, or is something else.
            ConfigurationError: if the library is not installed.
        """
        handle, _ = open_data_file(path)
        with handle:
            raw = handle.read()
        try:
            content = json.loads(raw)
            if not isinstance(content, dict):
                raise DataError("expected a dictionary")
            return cls(content)
        except (DataError, ValueError, RecursionError) as error:
            reason = str(error).partition("\n")[0][:200]
            raise DataError(
                f"{path}: not the tokenizer.json of a byte-level BPE: {reason}"
            ) from None

    @property
    def size(self) -> int:
        """The number of tokens."""
        return self._size

    def encode(self, text: str, name: str = "the text") -> Tokens:
        """Return the indices of the tokens of a text, (T,) int32.

        Raises:
            DataError: if the text has half of a surrogate pair, which is no character.
        """
        _need_characters(text, name)
        pieces = list(_pieces(text)) if self._may_be_cut else [text]
        encoded = self._tokenizer.encode_batch(pieces, add_special_tokens=False)
        return np.asarray([token for piece in encoded for token in piece.ids], np.int32)

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of tokens; what is no whole character becomes U+FFFD."""
        text: str = self._tokenizer.decode([int(one) for one in tokens], skip_special_tokens=False)
        return text

    def to_dict(self) -> dict[str, Any]:
        """What ``tokenizer_from_dict`` reads, in plain JSON types."""
        content = json.loads(self._tokenizer.to_str())
        return {"form": "tokenizer", "version": 1, "kind": "byte-pair", "content": content}


def tokenizer_from_dict(value: Any) -> Tokenizer:
    """Return the tokenizer that ``to_dict`` described.

    Raises:
        CheckpointError: if the description is damaged.
        ConfigurationError: if it needs a library that is not installed.
    """
    saved = _records.form(value, "tokenizer", 1, ("kind", "content"))
    content = saved["content"]
    try:
        if saved["kind"] == "characters":
            return CharacterTokenizer(_records.text(content, "the characters"))
        if saved["kind"] == "byte-pair" and isinstance(content, Mapping):
            return BytePairTokenizer(content)
    except (DataError, UnicodeError) as error:
        raise CheckpointError(f"tokenizer: {error}") from None
    except ConfigurationError as error:
        if saved["kind"] == "characters":
            raise CheckpointError(f"tokenizer: {error}") from None
        raise
    raise CheckpointError("tokenizer: expected 'characters' or 'byte-pair', and their content")


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    # Half of a surrogate pair is a character that no vocabulary has, and is named as such.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), _CODES)


def _need_characters(text: str, name: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        place = error.start
        raise DataError(
            f"{name}: line {text.count(chr(10), 0, place) + 1}, column "
            f"{place - text.rfind(chr(10), 0, place)}: U+{ord(text[place]):04X} is half of a "
            "surrogate pair and no character; leave it out, or read the file as UTF-8"
        ) from None


def _pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces of about a million characters.

    Their tokens are those of the whole where a byte-level encoding takes words as GPT-2 does.
    """
    start = 0
    while len(text) - start > _PIECE:
        cut = _CUT.search(text, start + _PIECE)
        if cut is None:
            break
        yield text[start : cut.start()]
        start = cut.start()
    yield text[start:]


def _import_tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise ConfigurationError(
            "byte-pair encoding needs the tokenizers library, which is not installed: "
            'pip install "nnscratch[text]"; characters need nothing'
        ) from error
    return tokenizers
