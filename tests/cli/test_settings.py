import json

import pytest
from command_line import call, fails

from nnscratch.cli.settings import TrainingSettings, read_toml, settings_text


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
        ("[train]\nepochs = 3", "settings stand in no table, and 'train' is one"),
        ("lr.max = 3", "lr must be of type float"),
        ("zzz = 3", "there is no setting 'zzz'. The settings are"),
        ("'a'.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s = 1", "more than 16 dots"),
        (f"hidden = [{'1, ' * 5000}]", "hidden must be at most 1,024 layers, got 5,000"),
        ("separator = 'ab'", "separator is for tables"),
        ("= 3", "not valid TOML"),
        ("a = " + "[" * 100_000, "not valid TOML"),
        ("\x00", "not valid TOML"),
    ],
)
def test_toml_files_with_mistakes(capsys, tmp_path, text, message):
    (tmp_path / "s.toml").write_text(text)
    assert message in fails(capsys, "train", "digits", "--config", tmp_path / "s.toml")


def test_toml_files_that_are_no_text(capsys, tmp_path):
    path = tmp_path / "s.toml"
    for content in ('target = "ü"'.encode("latin-1"), "lr = 1".encode("utf-16"), b"\xff"):
        path.write_bytes(content)
        assert "no text in UTF-8" in fails(capsys, "train", "digits", "--config", path)
    path.write_bytes(b"\xef\xbb\xbf# " + b"." * 99 + b" it's\nlr = 0.5 # ......................")
    assert read_toml(str(path)) == {"lr": 0.5}


def test_settings_come_back_from_their_text(tmp_path, monkeypatch):
    """Also lists that are empty, and words that are the names of files here."""
    monkeypatch.chdir(tmp_path)
    for name in ("digits", "characters", "t.csv", "own.json"):
        (tmp_path / name).write_text("x")
    path = tmp_path / "run.toml"
    for settings in (
        TrainingSettings(),
        TrainingSettings(data="digits", hidden=(), augment=(), seed=1 << 62, lr=1e-12),
        TrainingSettings(
            data="elsewhere.csv", tokenizer="bpe", exclude=("a,b", 'c"\\\n\x7f\u2028')
        ),
        TrainingSettings(separator="\t", target="", compile=False, patience=0),
    ):
        path.write_text(settings_text(settings, "Settings."), encoding="utf-8")
        assert TrainingSettings.from_dict(read_toml(str(path)), "run.toml") == settings
    text = settings_text(TrainingSettings(data="t.csv", tokenizer="own.json"), "Settings.")
    assert f'data = "{tmp_path / "t.csv"}"' in text
    assert f'tokenizer = "{tmp_path / "own.json"}"' in text
    text = settings_text(TrainingSettings(exclude=("\udc80", "a")), "Settings.")
    assert "# exclude is not UTF-8" in text


def test_data_beside_a_settings_file(capsys, tmp_path, monkeypatch):
    """Names of files are seen from the folder of the command, as in options; it is said if not."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "t.csv").write_text("a,b\n1,2\n")
    (tmp_path / "own" / "s.toml").write_text('data = "t.csv"\ntarget = "b"\n')
    monkeypatch.chdir(tmp_path)
    said = fails(capsys, "train", "--config", "own/s.toml")
    assert "seen from the folder of the command" in said
    assert "own/t.csv is there" in said
    assert "u.csv: there is no such file" in fails(
        capsys, "train", "u.csv", "--config", "own/s.toml"
    )


def test_separators_have_their_names_in_files_too(tmp_path):
    for name, separator in (("tab", "\t"), ("semicolon", ";"), (";", ";")):
        found = TrainingSettings.from_dict({"separator": name}, "run.toml")
        assert found.separator == separator


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
