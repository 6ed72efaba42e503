"""Language models from the command line: trained on a text, resumed, judged, and writing."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pydoc_data.topics
import shlex
import signal

import pytest
from command_line import call, fails, flowers, weights

from nnscratch.cli import main
from nnscratch.data import BytePairTokenizer
from nnscratch.train import Callback

TEXT = pydoc_data.topics.topics["strings"][:6000]
TINY = ["--width", "8", "--layers", "1", "--heads", "2", "--block", "16", "--batch", "32"]
QUICK = [*TINY, "--epochs", "2", "--schedule", "constant", "--no-compile"]
KINDS = ("gpt", "char-lstm")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run folder of each kind of model, the text, and what each training printed."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "words.txt").write_text(TEXT)
    printed = {}
    for kind in KINDS:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            where = [str(folder / "words.txt"), "--model", kind, "--run", str(folder / kind)]
            assert main(["train", *where, *QUICK]) == 0
        printed[kind] = out.getvalue()
    return folder, printed


class Interrupt(Callback):
    def __init__(self, batches):
        self.left = batches

    def on_batch_end(self, trainer):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_says_what_it_does_and_lets_the_model_write(runs, kind):
    folder, printed = runs
    said = " ".join(printed[kind].split())
    assert "words: 4,800 characters to train on, 600 to validate, 600 held out for the test" in said
    assert {"gpt": "GPT of 1 layers", "char-lstm": "LSTM of 1 layers"}[kind] in said
    assert "bits a character" in said
    assert f"nnscratch generate {folder / kind}" in said
    assert said.rpartition("--prompt ")[2] == TEXT.split()[0]  # "The" may have no place there
    samples = (folder / kind / "samples.txt").read_text()
    assert samples.count("epoch ") == 2
    shown = "".join(printed[kind].split())
    assert all("".join(line.split()) in shown for line in samples.split("\n")[2:4])
    report = json.loads((folder / kind / "report.json").read_text())
    assert report["samples"] == 599
    assert 0 < report["bits"] < 8
    history = json.loads((folder / kind / "history.json").read_text())
    assert "bits" in json.dumps(history)


@pytest.mark.parametrize("kind", KINDS)
def test_it_writes_the_same_for_the_same_seed(runs, capsys, kind):
    run = runs[0] / kind
    options = ["--prompt", "A string", "--length", "40"]
    texts = [call(capsys, "generate", run, *options, "--seed", seed)[1] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert all(text.startswith("A string") and len(text) >= 48 for text in texts)
    surest = [
        call(capsys, "generate", run, *options, *more)[1]
        for more in (["--temperature", "0"], ["--top-k", "1"], ["--top-p", "1e-9"])
    ]
    assert surest[0] == surest[1] == surest[2]
    # Longer than the block, and without a prompt.
    assert len(call(capsys, "generate", run, "--length", "50", "--seed", "1")[1]) >= 50


def test_what_generate_refuses(runs, capsys, digits):
    run = runs[0] / "gpt"
    assert "the character 'ß' (U+00DF) is not among" in fails(
        capsys, "generate", run, "--prompt", "Straße"
    )
    assert "temperature" in fails(capsys, "generate", run, "--temperature", "-1")
    assert "top_k" in fails(capsys, "generate", run, "--top-k", "0")
    assert "top_p" in fails(capsys, "generate", run, "--top-p", "1.5")
    assert "it writes no text" in fails(capsys, "generate", digits[0])
    assert "continues texts; use `nnscratch generate" in fails(
        capsys, "predict", run, runs[0] / "words.txt"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_info_and_evaluate(runs, capsys, kind):
    folder = runs[0]
    code, out, _ = call(capsys, "info", folder / kind)
    assert code == 0
    assert "4800 training, 600 validation, 600 test characters" in " ".join(out.split())
    (folder / "more.txt").write_text(TEXT[-600:])
    output = folder / "figures.json"
    code, out, _ = call(capsys, "evaluate", folder / kind, folder / "more.txt", "-o", output)
    assert code == 0
    found = json.loads(output.read_text())
    report = json.loads((folder / kind / "report.json").read_text())
    assert {key: found[key] for key in ("loss", "bits", "accuracy", "samples")} == {
        key: report[key] for key in ("loss", "bits", "accuracy", "samples")
    }
    (folder / "other.txt").write_text("äöü")
    assert "other.txt: line 1, column 1" in fails(
        capsys, "evaluate", folder / kind, folder / "other.txt"
    )


def test_a_run_that_goes_on_ends_where_one_without_a_break_does(runs, capsys, tmp_path):
    folder = runs[0]
    train = ["train", folder / "words.txt", "--model", "gpt", *QUICK, "--dropout", "0.2"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert call(capsys, *train, "--run", whole, "--epochs", "3")[0] == 0
    assert call(capsys, *train, "--run", broken, "--epochs", "1")[0] == 0
    assert weights(whole) != weights(broken)
    assert call(capsys, "train", "--resume", "--run", broken, "--epochs", "3")[0] == 0
    assert weights(whole) == weights(broken)
    assert (whole / "samples.txt").read_text() == (broken / "samples.txt").read_text()


def test_an_epoch_that_was_interrupted_goes_on(runs, capsys, tmp_path, monkeypatch):
    from nnscratch.cli import language

    train = ["train", runs[0] / "words.txt", "--model", "char-lstm", *QUICK]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert call(capsys, *train, "--run", whole)[0] == 0
    with monkeypatch.context() as patched:
        callbacks = language._callbacks
        patched.setattr(language, "_callbacks", lambda *a: [*callbacks(*a), Interrupt(13)])
        code, _, err = call(capsys, *train, "--run", broken)
    assert code == 130
    assert "not finished" in fails(capsys, "generate", broken)
    assert call(capsys, *shlex.split(err.partition("go on with: ")[2])[1:])[0] == 0
    assert weights(whole) == weights(broken)


def test_a_text_that_has_changed_is_not_trained_on(capsys, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(TEXT[:2000])
    run = ["--run", tmp_path / "run"]
    assert call(capsys, "train", path, "--model", "char-lstm", *QUICK, *run)[0] == 0
    path.write_text(TEXT[:1999] + "e")
    assert "has changed since it began" in fails(capsys, "train", "--resume", *run)
    path.write_text(TEXT[:1999] + "ß")
    assert "is not among the" in fails(capsys, "train", "--resume", *run)


def test_byte_pairs_learned_or_from_a_file(capsys, tmp_path):
    path, file = tmp_path / "a.txt", tmp_path / "tokenizer.json"
    path.write_text(TEXT)
    file.write_text(json.dumps(BytePairTokenizer.fit(TEXT, 300).to_dict()["content"]))
    for name, options in (("bpe", ["--vocabulary", "300"]), (str(file), [])):
        run = tmp_path / f"run{len(options)}"
        more = ["--tokenizer", name, *options, "--run", run, "--quiet"]
        code, out, err = call(capsys, "train", path, "--model", "gpt", *QUICK, *more)
        assert code == 0, err
        assert "bits a token" in out
        assert "perplexity" in (run / "history.csv").read_text()
        code, out, _ = call(capsys, "generate", run, "--prompt", "日本", "--length", "9")
        assert code == 0
        assert out.startswith("日本")
    assert "not the tokenizer.json" in fails(
        capsys, "train", path, "--model", "gpt", "--tokenizer", run / "config.json"
    )
    assert "there is no tokenizer 'words'" in fails(
        capsys, "train", path, "--model", "gpt", "--tokenizer", "words"
    )


def test_a_text_without_a_model_and_options_of_other_data(capsys, tmp_path):
    path, table = tmp_path / "novel.txt", flowers(tmp_path / "trees.csv")
    path.write_text(TEXT)
    assert "add --model gpt or --model char-lstm" in fails(capsys, "train", path)
    assert "--target is not for texts" in fails(
        capsys, "train", path, "--model", "gpt", "--target", "kind"
    )
    assert "--layers is for models of texts" in fails(
        capsys, "train", table, "--target", "kind", "--layers", "3"
    )
    assert "width must be a multiple of heads" in fails(
        capsys, "train", path, "--model", "gpt", "--width", "10", "--heads", "4"
    )
    assert "did you mean 'gpt'" in fails(capsys, "train", path, "--model", "gtp")
    assert not (tmp_path / "runs").exists()


def test_texts_that_are_too_short_or_none(capsys, tmp_path):
    path = tmp_path / "a.txt"
    for content, says in (
        (b"short", "5 tokens are too few for windows of 128"),
        (b"", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n", "this is a PNG image: save the text in it"),
        (b"a\0b", "name a plain text file"),
    ):
        path.write_bytes(content)
        assert says in fails(capsys, "train", path, "--model", "gpt")
    assert "there is no such file" in fails(capsys, "train", tmp_path / "b", "--model", "gpt")
    assert "name the text" in fails(capsys, "train", "--model", "gpt")


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_step_is_explained(runs, capsys, tmp_path, kind):
    folder, _ = runs
    code, out, err = call(capsys, "explain", folder / kind, "-o", tmp_path / "step.json")
    assert (code, err) == (0, "")
    steps = json.loads((tmp_path / "step.json").read_text())["steps"]
    assert out.startswith(f"{len(steps)} calls of one training step")
    formulas = [one["formula"] for one in steps if one["direction"] == "backward"]
    assert formulas[0] == "cross_entropy"
    assert formulas[-1] == "embedding"
    assert ("softmax" if kind == "gpt" else "lstm") in formulas


def test_a_text_that_is_too_short_to_explain_is_named(runs, capsys, tmp_path):
    folder, _ = runs
    (tmp_path / "short.txt").write_text("str")
    said = fails(capsys, "explain", folder / "gpt", "--data", tmp_path / "short.txt")
    assert "expected at least 17 characters, got 3" in said
