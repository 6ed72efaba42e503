import json

import pytest
from command_line import call, fails


def test_a_toml_file_and_options_that_override_it(capsys, tmp_path):
    (tmp_path / "s.toml").write_text(
        'data = "digits"\nhidden = [12]\nepochs = 9\nlr = 1\nschedule = "constant"\n'
        'activation = "tanh"\nclip_norm = 1.0\noptimizer = "sgd"\n'
    )
    run = tmp_path / "run"
    arguments = ["--config", tmp_path / "s.toml", "--epochs", 1, "--lr", 0.05, "--run", run]
    assert call(capsys, "train", *arguments, "--quiet")[0] == 0
    settings = json.loads((run / "config.json").read_text())["settings"]
    assert (settings["epochs"], settings["lr"], settings["hidden"]) == (1, 0.05, [12])
    assert settings["activation"] == "tanh"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hiden = [3]", "no setting 'hiden'; did you mean 'hidden'?"),
        ("weight-decay = 0.1", "did you mean 'weight_decay'?"),
        ("hidden = 3", "hidden must be a list"),
        ("hidden = [0]", "hidden must be at least 1"),
        ("hidden = ['a']", "hidden must be of type int"),
        ("epochs = 1.5", "epochs must be of type int"),
        ("epochs = true", "epochs must be of type int"),
        ("lr = 'fast'", "lr must be of type float"),
        ("lr = nan", "lr must be a number"),
        ("dropout = 1.0", "dropout must be at least 0 and below 1"),
        ("optimizer = 'adamv'", "did you mean 'adam'?"),
        ("compile = 1", "compile must be of type bool"),
        ("= 3", "not valid TOML"),
        ("a = " + "[" * 100_000, "not valid TOML"),
        ("\x00", "not valid TOML"),
    ],
)
def test_toml_files_with_mistakes(capsys, tmp_path, text, message):
    (tmp_path / "s.toml").write_text(text)
    assert message in fails(capsys, "train", "digits", "--config", tmp_path / "s.toml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits", "--activation", "rleu"], "did you mean 'relu'?"),
        (["digits", "--loss", "l1"], "does not fit a classification"),
        (["digits", "--target", "x"], "--target is for tables"),
        (["digits", "--hidden", "12,x"], "--hidden takes sizes"),
        (["digits", "--hidden", "-3"], "hidden must be at least 1"),
        (["digits", "--epochs", "0"], "epochs must be at least 1"),
        (["digits", "--epochs", "many"], "'many' is not a valid integer"),
        (["digits", "--schedule", "cosin"], "did you mean 'cosine'?"),
        (["digits", "--validation", "0.85", "--test", "0.5"], "leave nothing to train on"),
        (["digits", "--test", "0"], "test must be above 0"),
        (["digits", "--device", "cuda:9"], "device 'cuda' cannot be used"),
        (["digits", "--device", "tpu"], "tpu"),
        (["digits", "--resume"], "--resume goes with --run"),
        (["digits", "--config", "/missing.toml"], "No such file"),
        (["digits", "--fast"], "No such option"),
        ([], "name the data"),
        (["/missing.csv"], "no such file or folder"),
        (["/proc/version", "--target", "x"], "/proc/version"),
    ],
)
def test_arguments_with_mistakes(capsys, arguments, message):
    assert message in fails(capsys, "train", *arguments)


def test_an_unknown_command(capsys):
    assert "No such command 'trian'" in fails(capsys, "trian")
