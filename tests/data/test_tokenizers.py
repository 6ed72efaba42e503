"""Tokenizers give a text back, whatever it is, and say what they do not know."""

import json

import numpy as np
import pytest
import tokenizers as library

from nnscratch.data import BytePairTokenizer, CharacterTokenizer, tokenizer_from_dict
from nnscratch.data import tokenizers as module
from nnscratch.errors import CheckpointError, ConfigurationError, DataError

TEXT = "To be, or not to be:\nthat is the question — für 5 €, 🙂!\n\n\n  Whether 'tis nobler\n" * 3


@pytest.fixture(scope="module")
def pairs():
    return BytePairTokenizer.fit(TEXT, 300)


def test_characters():
    made = CharacterTokenizer.fit(TEXT)
    tokens = made.encode(TEXT)
    assert tokens.dtype == np.int32
    assert made.size == len(set(TEXT))
    assert made.decode(tokens) == "".join(made.stream(tokens)) == TEXT
    assert made.characters == "".join(sorted(set(TEXT)))
    assert made.encode("").tolist() == []


def test_a_character_that_is_not_in_the_vocabulary_is_named_with_its_place():
    made = CharacterTokenizer.fit("abc\n")
    with pytest.raises(
        DataError, match=r"a\.txt: line 3, column 2: the character 'é' \(U\+00E9\)"
    ) as caught:
        made.encode("a\nbb\naéz", "a.txt")
    assert "and 1 further characters" in str(caught.value)
    for before, after in (("\x00", "a"), ("a", "\U0010ffff")):
        with pytest.raises(DataError, match="line 1, column"):
            made.encode(before + after)


def test_byte_pairs_are_those_of_the_library(pairs):
    other = library.Tokenizer.from_str(json.dumps(pairs.to_dict()["content"]))
    for text in (TEXT, "", "日本語 🙂\0", "\n \n", "a" * 50):
        tokens = pairs.encode(text)
        assert tokens.tolist() == other.encode(text, add_special_tokens=False).ids
        assert pairs.decode(tokens) == "".join(pairs.stream(tokens)) == text
    assert pairs.size == 300 == other.get_vocab_size()
    assert len(pairs.encode(TEXT)) < 0.7 * len(TEXT)


def test_no_half_character_is_streamed(pairs):
    pieces = list(pairs.stream(pairs.encode("日本🙂")))
    assert all("\ufffd" not in piece for piece in pieces)
    assert len(pieces) == 3
    # Half a character at the end is shown as such, not kept for ever.
    assert "".join(pairs.stream(pairs.encode("日")[:-1])) == "\ufffd"


def test_a_text_in_pieces_has_the_tokens_of_the_whole(pairs, monkeypatch):
    monkeypatch.setattr(module, "_PIECE", 30)
    assert len(list(module._pieces(TEXT))) == 3
    assert "".join(module._pieces(TEXT)) == TEXT
    whole = pairs._tokenizer.encode(TEXT, add_special_tokens=False).ids
    assert pairs.encode(TEXT).tolist() == whole


def test_a_tokenizer_is_saved_and_read(pairs, tmp_path):
    for made in (pairs, CharacterTokenizer.fit(TEXT)):
        again = tokenizer_from_dict(json.loads(json.dumps(made.to_dict())))
        assert type(again) is type(made)
        assert again.encode(TEXT).tolist() == made.encode(TEXT).tolist()
        assert again.size == made.size
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(pairs.to_dict()["content"]))
    assert BytePairTokenizer.read(path).encode(TEXT).tolist() == pairs.encode(TEXT).tolist()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"\xff", b"{}", b'{"model": {"type": "WordPiece"}}', b"[" * 100_000]
    + [b'{"model": {"type": "BPE"}, "decoder": {"type": "WordPiece"}}']
    + [b'{"model": {"type": "BPE"}, "decoder": {"type": "ByteLevel"}}'],
)
def test_what_is_no_tokenizer_is_refused(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"tokenizer\.json: not the tokenizer"):
        BytePairTokenizer.read(path)


@pytest.mark.parametrize(
    "change",
    [
        {"form": "table"},
        {"version": 2},
        {"kind": "words"},
        {"content": 3},
        {"content": ""},
        {"content": "aa"},
        {"content": "a\ud800"},
        {"kind": "byte-pair", "content": {}},
        {"further": 1},
    ],
    ids=str,
)
def test_a_damaged_description_is_refused(change):
    saved = CharacterTokenizer("ab").to_dict() | change
    with pytest.raises(CheckpointError):
        tokenizer_from_dict(saved)


def test_a_vocabulary_that_is_too_small():
    with pytest.raises(ConfigurationError, match="more tokens than the 256 bytes, got 256"):
        BytePairTokenizer.fit(TEXT, 256)


def test_half_of_a_surrogate_pair_is_named(pairs):
    for made in (pairs, CharacterTokenizer.fit(TEXT)):
        with pytest.raises(DataError, match=r"a prompt: line 2, column 4: .*U\+D800") as caught:
            made.encode("To\nbe \ud800", "a prompt")
        str(caught.value).encode()  # it can be printed
    for fit in (CharacterTokenizer.fit, BytePairTokenizer.fit):
        with pytest.raises(DataError, match=r"line 1, column 2: U\+DC00"):
            fit("a\udc00" * 3)


@pytest.mark.parametrize(
    "words",
    [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        None,
    ],
)
def test_a_text_is_not_cut_where_its_tokens_would_change(pairs, monkeypatch, words):
    content = json.loads(json.dumps(pairs.to_dict()["content"]))
    content["pre_tokenizer"] = words
    # Without ByteLevel the library leaves out characters that are no token; all of these are.
    text = "to be or not\nto be\nthat is\nthe question\nto be" if words is None else TEXT
    made = BytePairTokenizer(content)
    whole = made._tokenizer.encode(text, add_special_tokens=False).ids
    monkeypatch.setattr(module, "_PIECE", 10)
    assert len(list(module._pieces(text))) > 1
    assert made.encode(text).tolist() == whole
    if words is not None and words["add_prefix_space"]:
        monkeypatch.setattr(made, "_may_be_cut", True)
        assert made.encode(text).tolist() != whole


def test_truncation_and_padding_of_a_file_lose_and_add_no_tokens(pairs, monkeypatch):
    settings = library.Tokenizer.from_str(json.dumps(pairs.to_dict()["content"]))
    settings.enable_truncation(5)
    settings.enable_padding(length=400)
    content = json.loads(settings.to_str())
    assert None not in (content["truncation"], content["padding"])
    made = BytePairTokenizer(content)
    assert made.encode(TEXT).tolist() == pairs.encode(TEXT).tolist()
    assert made.encode("").tolist() == []
    monkeypatch.setattr(module, "_PIECE", 30)
    assert made.encode(TEXT).tolist() == pairs.encode(TEXT).tolist()
    again = tokenizer_from_dict(json.loads(json.dumps(made.to_dict())))
    assert again.encode(TEXT).tolist() == pairs.encode(TEXT).tolist()


@pytest.mark.parametrize(
    ("text", "options"),
    [("that", {"lstrip": True}), ("be:", {"rstrip": True}), (":\nth", {}), ("that", {})],
)
def test_added_tokens_are_found_in_pieces_too(pairs, monkeypatch, text, options):
    other = library.Tokenizer.from_str(json.dumps(pairs.to_dict()["content"]))
    other.add_tokens([library.AddedToken(text, normalized=False, **options)])
    made = BytePairTokenizer(json.loads(other.to_str()))
    monkeypatch.setattr(module, "_PIECE", 10)
    assert len(list(module._pieces(TEXT))) > 1
    assert made.encode(TEXT).tolist() == other.encode(TEXT, add_special_tokens=False).ids
    assert made._may_be_cut == (text == "that" and not options)
