import csv
import json
import tarfile

import numpy as np
import polars
import pytest
from command_line import call, fails, squares, weights
from PIL import Image

from nnscratch.cli.images import ImagePreprocessor, images_from
from nnscratch.data import LabelledImages, load_images
from nnscratch.errors import CheckpointError, DataError
from nnscratch.train import Callback

QUICK = ["--epochs", "2", "--quiet"]


def pets(folder, count=14, classes=("cat", "dog", "emu"), shape=(12, 14)):
    """Photographs of noise, each class brighter in a colour of its own."""
    source = np.random.default_rng(count)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = source.integers(0, 120, (*shape, 3))
            pixels[..., number] += 120
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{index:02}.png")
    return folder


def rows(path):
    with open(path) as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Photographs, and the run of a perceptron on them."""
    from nnscratch.cli import main

    root = tmp_path_factory.mktemp("pets")
    pets(root / "pets" / "train")
    pets(root / "pets" / "test", 4)
    options = ["--model", "mlp", "--epochs", "6", "--quiet", "--run", str(root / "run")]
    assert main(["train", str(root / "pets"), *options]) == 0
    return root / "pets", root / "run"


def test_folders_of_photographs(capsys, trained):
    photos, run = trained
    report = json.loads((run / "report.json").read_text())
    assert [one["class"] for one in report["classes"]] == ["cat", "dog", "emu"]
    assert (report["samples"], report["accuracy"]) == (12, 1.0)
    split = rows(run / "split.csv")
    assert [row["part"] for row in split].count("train") == 38
    assert split[-1]["file"] == str(photos / "test" / "emu" / "03.png")
    assert (run / "mistakes.png").read_bytes().startswith(b"\x89PNG")
    assert rows(run / "mistakes.csv") == []
    assert not (run / "sample.csv").exists()
    code, out, err = call(capsys, "info", run)
    assert (code, err) == (0, "")
    assert "MLP 504-" in out


def test_prediction_of_image_files(capsys, trained, tmp_path):
    photos, run = trained
    dog = photos / "test" / "dog" / "01.png"
    code, out, err = call(capsys, "predict", run, dog)
    assert (code, err) == (0, "")
    assert "dog" in out
    code, _, _ = call(capsys, "predict", run, photos, "-o", tmp_path / "p.csv", "--probabilities")
    assert code == 0
    found = rows(tmp_path / "p.csv")
    assert [row["prediction"] for row in found] == ["cat"] * 4 + ["dog"] * 4 + ["emu"] * 4
    assert [*found[0]] == ["file", "prediction", "probability", "p(cat)", "p(dog)", "p(emu)"]
    assert found[5]["file"] == str(dog)
    # Loose files of another size, and grey; their folder says no class.
    loose = tmp_path / "loose"
    loose.mkdir()
    with Image.open(dog) as image:
        image.resize((140, 120)).save(loose / "big.jpg", quality=95)
        image.convert("L").save(loose / "grey.png")
    assert call(capsys, "predict", run, loose, "-o", tmp_path / "q.csv")[0] == 0
    found = rows(tmp_path / "q.csv")
    assert [row["file"] for row in found] == [str(loose / "big.jpg"), str(loose / "grey.png")]
    assert found[0]["prediction"] == "dog"
    assert "no labels to compare with" in fails(capsys, "evaluate", run, loose)


def test_evaluation_takes_the_folders_for_labels(capsys, trained, tmp_path):
    photos, run = trained
    assert call(capsys, "evaluate", run, photos, "-o", tmp_path / "r.json")[0] == 0
    again = json.loads((tmp_path / "r.json").read_text())
    assert again["confusion"] == json.loads((run / "report.json").read_text())["confusion"]
    other = pets(tmp_path / "other", 2, ("dog", "fox"))
    message = fails(capsys, "evaluate", run, other)
    assert "2 of 4 rows have a label that training never showed: 'fox'" in message
    assert call(capsys, "predict", run, other)[0] == 0


def test_what_cannot_be_predicted(capsys, trained, tmp_path):
    _, run = trained
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    assert "broken.png: " in fails(capsys, "predict", run, tmp_path / "broken.png")
    (tmp_path / "folder").mkdir()
    assert "no image files in it" in fails(capsys, "predict", run, tmp_path / "folder")
    np.savez(tmp_path / "small.npz", x=np.zeros((2, 9, 9, 3), np.uint8))
    message = fails(capsys, "predict", run, tmp_path / "small.npz")
    assert (
        "takes images of 12 x 14 pixels, 3 channels, these have the shape (2, 3, 9, 9)" in message
    )
    np.savez(tmp_path / "right.npz", x=np.zeros((2, 12, 14, 3), np.uint8))
    assert call(capsys, "predict", run, tmp_path / "right.npz")[0] == 0


def test_arrays_with_names_and_text_labels(capsys, tmp_path):
    source = np.random.default_rng(0)
    images = source.integers(0, 100, (40, 6, 6), dtype=np.uint8)
    labels = np.array(["oak", "elm"] * 20)
    images[labels == "elm", :3] += 120
    np.savez(tmp_path / "trees.npz", images=images / 255, labels=labels)
    run = tmp_path / "run"
    options = ["--model", "mlp", "--epochs", "8", "--quiet", "--run", run]
    assert call(capsys, "train", tmp_path / "trees.npz", *options)[0] == 0
    report = json.loads((run / "report.json").read_text())
    assert [one["class"] for one in report["classes"]] == ["elm", "oak"]
    assert report["accuracy"] == 1.0
    code, out, _ = call(capsys, "predict", run, run / "sample.csv")
    assert (code, "oak" in out) == (0, True)
    # Bytes mean the same as shares of white.
    np.savez(tmp_path / "bytes.npz", x=images, y=labels)
    code, out, _ = call(capsys, "evaluate", run, tmp_path / "bytes.npz")
    assert (code, "40 of 40 right" in out) == (0, True)


def test_a_sample_of_coloured_arrays(capsys, tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (30, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=images, y=np.arange(30) % 2)
    run = tmp_path / "run"
    options = ["--model", "mlp", "--run", run, *QUICK]
    code, out, _ = call(capsys, "train", tmp_path / "a.npz", *options)
    assert code == 0
    assert out.splitlines()[-1].endswith("sample.npz")
    assert call(capsys, "evaluate", run, run / "sample.npz")[0] == 0


def test_another_size(capsys, tmp_path):
    folder, run = squares(tmp_path / "squares"), tmp_path / "run"
    options = ["--size", "12x10", "--run", run, *QUICK]
    assert call(capsys, "train", folder, *options)[0] == 0
    assert "MLP 120-" in call(capsys, "info", run)[1]
    # Arrays are brought to it for predictions, too.
    assert call(capsys, "evaluate", run, folder)[0] == 0
    assert "--size takes 32, or 48x64" in fails(capsys, "train", folder, "--size", "large")
    assert "size must be at least 1" in fails(capsys, "train", folder, "--size", "0")


def test_a_table_beside_the_classes_is_passed_over(capsys, tmp_path):
    photos = pets(tmp_path / "pets")
    (photos / "labels.csv").write_text("file,class\n")
    options = ["--model", "mlp", "--epochs", "1", "--run", tmp_path / "run"]
    code, out, _ = call(capsys, "train", photos, *options)
    assert (code, "other files are passed over (1): 'labels.csv'" in out) == (0, True)


def test_classes_with_too_few_images_are_named(capsys, tmp_path):
    photos = pets(tmp_path / "pets")
    for index in range(1, 14):
        (photos / "emu" / f"{index:02}.png").unlink()
    options = ["--model", "mlp", "--run", tmp_path / "run", *QUICK]
    code, _, err = call(capsys, "train", photos, *options)
    assert code == 0
    assert "'emu' (1 row 29; none in the validation, test)" in err
    for name in ("cat", "emu"):
        for file in (photos / name).iterdir():
            file.unlink()
        (photos / name).rmdir()
    assert "two classes or more" in fails(capsys, "train", photos)


def test_data_that_are_no_images(capsys, tmp_path):
    photos = pets(tmp_path / "pets", 2)
    assert "--target is for tables" in fails(capsys, "train", photos, "--target", "x")
    table = tmp_path / "t.csv"
    table.write_text("a,b\n1,2\n")
    for option in (["--model", "resnet18"], ["--size", "8"], ["--augment", "flip"]):
        message = fails(capsys, "train", table, "--target", "b", *option)
        assert "are for images, but" in message
    assert "this is one image: name a folder" in fails(capsys, "train", photos / "cat" / "00.png")
    message = fails(capsys, "train", photos, "--model", "resnet")
    assert "there is no model 'resnet'; did you mean 'resnet" in message
    message = fails(capsys, "train", photos, "--augment", "flip,none", "--model", "mlp")
    assert "the augmentation 'none' goes with no other, got flip,none" in message
    with tarfile.open(tmp_path / "pets.tar.gz", "w:gz") as archive:
        archive.add(photos, "pets")
    assert "this is a tar archive: unpack it" in fails(capsys, "train", tmp_path / "pets.tar.gz")
    (photos / "dog" / "00.png").write_bytes(b"")
    assert "dog/00.png: the file is empty" in fails(capsys, "train", photos)


def test_augmentation_repeats(capsys, tmp_path):
    folder = squares(tmp_path / "squares", 60)
    made = []
    for name, words in (("a", "shift,erase"), ("b", "shift,erase"), ("c", "none"), ("d", "flip")):
        options = ["--augment", words, "--run", tmp_path / name, *QUICK]
        assert call(capsys, "train", folder, *options)[0] == 0
        made.append(weights(tmp_path / name))
    assert made[0] == made[1]
    assert made[0] != made[2] != made[3] != made[0]


class Stop(Callback):
    def __init__(self, batches):
        self.left = batches

    def on_batch_end(self, trainer):
        import os
        import signal

        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_network_that_is_broken_off_ends_with_the_same_weights(capsys, tmp_path, monkeypatch):
    from nnscratch.cli import training

    photos = pets(tmp_path / "pets")
    options = ["train", photos, "--model", "cnn", "--epochs", "2", "--batch", "6"]
    options += ["--augment", "shift,flip,erase"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert call(capsys, *options, "--run", whole, "--quiet")[0] == 0
    with monkeypatch.context() as patched:
        callbacks = training._callbacks
        patched.setattr(training, "_callbacks", lambda *a: [*callbacks(*a), Stop(8)])
        assert call(capsys, *options, "--run", broken)[0] == 130
    assert call(capsys, "train", "--resume", "--run", broken, "--quiet")[0] == 0
    assert weights(broken) == weights(whole)
    assert "cnn for images of 3 x 12 x 14, 3 classes" in call(capsys, "info", whole)[1]
    code, out, _ = call(capsys, "predict", whole, photos / "emu" / "03.png")
    assert (code, "emu" in out) == (0, True)


@pytest.mark.parametrize("model", ["lenet", "resnet18"])
def test_networks_learn(capsys, tmp_path, model):
    photos, run = pets(tmp_path / "pets", 8), tmp_path / "run"
    options = ["--model", model, "--epochs", "2", "--batch", "8", "--no-compile", "--quiet"]
    assert call(capsys, "train", photos, *options, "--run", run)[0] == 0
    history = json.loads((run / "history.json").read_text())
    assert history[1]["train_loss"] < history[0]["train_loss"]
    assert call(capsys, "evaluate", run, photos)[0] == 0


def test_options_that_a_network_does_not_take(capsys, tmp_path):
    photos = pets(tmp_path / "pets")
    message = fails(capsys, "train", photos, "--model", "lenet", "--hidden", "8")
    assert "--hidden and --activation are for --model mlp; lenet has layers of its own" in message
    message = fails(capsys, "train", photos, "--model", "vgg16")
    assert "pets: vgg16 needs images of at least 32 x 32 pixels, these are 12 x 14" in message
    message = fails(capsys, "train", photos, "--model", "resnet18", "--dropout", "0.5")
    assert "resnet18 has no dropout" in message


def test_checkup_of_a_network(capsys, tmp_path):
    code, out, _ = call(capsys, "checkup", pets(tmp_path / "pets"), "--model", "lenet")
    assert code == 0
    assert "ln 3" in out
    assert "0 faults" in out


DTYPES = {
    "uint8": lambda x: x,
    "int64": lambda x: x.astype(np.int64),
    "uint16": lambda x: x.astype(np.uint16) * 257,
    "float32": lambda x: (x / 255).astype(np.float32),
    "digits": lambda x: x // 16,
    "digits, int64": lambda x: (x // 16).astype(np.int64),
    "digits, float32": lambda x: (x // 16).astype(np.float32),
}


def test_few_grey_images_have_the_features_of_many():
    """Those of few are looked up, those of many computed, and the bits are the same."""
    images = np.random.default_rng(0).integers(0, 256, (200, 30, 20), dtype=np.uint8)
    pre = ImagePreprocessor.fit(LabelledImages("grey", images, np.arange(200) % 2))
    many = pre.features(images)
    for first in (0, 7, 199):
        assert pre.features(images[first : first + 1]).tobytes() == many[first].tobytes()
    assert pre.features(images[:, None][3:9]).tobytes() == many[3:9].tobytes()
    turned = np.ascontiguousarray(images.transpose(0, 2, 1)).transpose(0, 2, 1)
    assert pre.features(turned[:4]).tobytes() == many[:4].tobytes()


ALIKE = [("float32", "uint8"), ("float32", "uint16"), ("float32", "float32"),
         ("uint8", "float32"), ("uint8", "int64"), ("int64", "uint8"), ("uint8", "uint8"),
         ("uint16", "uint16"), ("uint16", "float32"), ("digits", "digits, int64"),
         ("digits, int64", "digits"), ("digits, float32", "digits")]  # fmt: skip


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(("first", "second"), ALIKE)
def test_the_same_pictures_have_the_same_features(tmp_path, first, second, labelled):
    pictures = np.random.default_rng(0).integers(0, 256, (12, 6, 5), dtype=np.uint8)
    pictures[:3] //= 128  # dark ones, which must not look brighter where they are alone
    path, labels = tmp_path / "a.npz", np.arange(12) % 2
    np.savez(path, x=DTYPES[first](pictures), y=labels)
    trained = load_images(path).train
    pre = ImagePreprocessor.from_dict(ImagePreprocessor.fit(trained).to_dict())
    expected = pre.features(trained.images)
    for some in (slice(None), slice(3)):
        held = {"y": labels[some]} if labelled else {}
        np.savez(path, x=DTYPES[second](pictures)[some], **held)
        found = images_from(str(path), pre)
        np.testing.assert_allclose(pre.features(found.images), expected[some], 1e-5, 1e-5)
        assert (found.labels is not None) == labelled


def test_an_idx_file_has_the_features_of_the_same_pictures_in_floats(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (12, 6, 5), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=pictures / 255, y=np.arange(12) % 2)
    trained = load_images(tmp_path / "a.npz").train
    pre = ImagePreprocessor.fit(trained)
    header = b"\0\0\x08\x03" + np.array((3, 6, 5), ">i4").tobytes()
    (tmp_path / "images-idx3-ubyte").write_bytes(header + (pictures[:3] // 128).tobytes())
    found = images_from(str(tmp_path / "images-idx3-ubyte"), pre)
    expected = pre.features((pictures[:3] // 128 / 255).astype(np.float32))
    np.testing.assert_allclose(pre.features(found.images), expected, 1e-5, 1e-5)


IN_TABLES = [("float32", "float32"), ("uint8", "int64"), ("uint8", "float32"), ("int64", "int64"),
             ("uint16", "uint16"), ("uint16", "float32"),
             ("digits, float32", "digits")]  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(("first", "second"), IN_TABLES)
def test_a_table_has_the_features_of_the_same_pictures(tmp_path, first, second, suffix):
    pictures = np.random.default_rng(0).integers(0, 256, (12, 6, 5), dtype=np.uint8)
    pictures[:3] //= 128
    np.savez(tmp_path / "a.npz", x=DTYPES[first](pictures), y=np.arange(12) % 2)
    trained = load_images(tmp_path / "a.npz").train
    pre = ImagePreprocessor.fit(trained)
    expected = pre.features(trained.images)
    for some in (slice(None), slice(3)):
        columns = DTYPES[second](pictures)[some].reshape(-1, 30).T
        table = polars.DataFrame({f"pixel {i}": column for i, column in enumerate(columns)})
        path = str(tmp_path / f"a{suffix}")
        table.write_csv(path) if suffix == ".csv" else table.write_parquet(path)
        found = images_from(path, pre)
        np.testing.assert_allclose(pre.features(found.images), expected[some], 1e-5, 1e-5)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("float32", "uint8", "float32 with 1 for white, these are u?int.* from 0 to 255; divide"),
        ("float32", "digits, float32", "with 1 for white, these are float32 from 0 to 15; divide"),
        ("uint8", "digits, float32", "with 255 for white, these are float32 .* floats are from 0"),
        ("uint8", "uint16", "with 255 for white, these are u?int.* from 0 to 65535; scale them"),
    ],
)
def test_a_table_in_other_values_is_refused(tmp_path, first, second, text, suffix):
    pictures = np.arange(0, 12 * 30, dtype=np.int64).reshape(12, 6, 5) % 256
    np.savez(tmp_path / "a.npz", x=DTYPES[first](pictures.astype(np.uint8)), y=np.arange(12) % 2)
    pre = ImagePreprocessor.fit(load_images(tmp_path / "a.npz").train)
    columns = DTYPES[second](pictures.astype(np.uint8)).reshape(-1, 30).T
    table = polars.DataFrame({f"pixel {i}": column for i, column in enumerate(columns)})
    path = str(tmp_path / f"a{suffix}")
    table.write_csv(path) if suffix == ".csv" else table.write_parquet(path)
    with pytest.raises(DataError, match=text):
        images_from(path, pre)


@pytest.mark.parametrize("labelled", [True, False])
def test_dark_pictures_in_wide_integers_are_as_dark_as_in_16_bits(tmp_path, labelled):
    pictures = np.random.default_rng(0).integers(0, 1 << 16, (6, 6, 5), dtype=np.uint16)
    pictures[:3] >>= 10
    path, labels = tmp_path / "a.npz", np.arange(6) % 2
    np.savez(path, x=pictures, y=labels)
    trained = load_images(path).train
    pre = ImagePreprocessor.fit(trained)
    for dtype in (np.int32, np.int64):
        held = {"y": labels[:3]} if labelled else {}
        np.savez(path, x=pictures[:3].astype(dtype), **held)
        found = images_from(str(path), pre).images
        np.testing.assert_array_equal(pre.features(found), pre.features(trained.images)[:3])


@pytest.mark.parametrize("name", ["white", "pixels", "channels", "height", "mean", "std"])
@pytest.mark.parametrize("value", [[[255]], {}, "255", None, True, [1.0, 2.0]])
@pytest.mark.parametrize("version", [2, 3])
def test_a_damaged_preprocessor_is_refused(name, value, version):
    images = LabelledImages("a", np.zeros((2, 3, 4), np.uint8), np.arange(2), 255, ())
    kept = ImagePreprocessor.fit(images).to_dict() | {"version": version}
    assert ImagePreprocessor.from_dict(kept).white == 255
    if name == "pixels" and version == 2:
        return  # of which nothing was kept
    with pytest.raises(CheckpointError, match="damaged"):
        ImagePreprocessor.from_dict(kept | {name: value})


@pytest.mark.parametrize(
    ("trained", "given"), [("uint8", "uint16"), ("uint16", "uint8"), ("uint8", "float32")]
)
def test_values_that_the_training_does_not_explain_are_refused(tmp_path, trained, given):
    pictures = np.arange(2 * 30).reshape(2, 6, 5) * 4
    scale = {"uint8": 1, "uint16": 257, "float32": 1}
    path = tmp_path / "a.npz"
    np.savez(path, x=(pictures * scale[trained]).astype(trained), y=[0, 1])
    pre = ImagePreprocessor.fit(load_images(path).train)
    np.savez(path, x=(pictures * scale[given]).astype(given))
    with pytest.raises(DataError, match=f"trained on images of {trained} .* these are {given}"):
        images_from(str(path), pre)
