"""Images, texts and runs that cannot be used: each gets one line that says what to do."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import call, fails, squares, write_idx
from PIL import Image

from nnscratch.cli import main

QUICK = ["--epochs", "1", "--quiet"]
TEXT = ["--model", "gpt", "--block", "16", "--width", "8", "--layers", "1", "--heads", "2"]
SOURCE = np.random.default_rng(0)


def encoded(kind: str, shape: tuple[int, ...] = (16, 16, 3)) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(SOURCE.integers(0, 255, shape).astype(np.uint8)).save(stream, kind)
    return stream.getvalue()


def photos(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 14) -> Path:
    for name in classes:
        (folder / name).mkdir(parents=True)
        for index in range(count):
            (folder / name / f"{index}.png").write_bytes(encoded("PNG", (6, 7, 3)))
    return folder


def train(capsys, tmp_path: Path, data: object, *options: str) -> str:
    """Train on data that cannot be used; nothing may be left of it."""
    run = tmp_path / "run"
    said = fails(capsys, "train", data, *QUICK, *options, "--run", run)
    assert not run.exists()
    return said


PNG, JPEG = encoded("PNG"), encoded("JPEG")


def claimed(width: int, height: int) -> bytes:
    """Return a PNG file whose header claims a size, and that holds nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", PNG[: len(PNG) // 2], "damaged or cut off"),
        ("a.png", PNG[:20], "damaged or cut off"),
        ("a.png", PNG[:8], "no image of a kind that Pillow reads; it begins with the bytes 89 50"),
        ("a.png", b"", "the file is empty"),
        ("a.png", PNG[:60] + b"\xff\x00\xff" + PNG[63:], "damaged or cut off"),
        ("a.png", claimed(60000, 60000), "exceeds limit"),
        ("a.png", claimed(0, 0), "no image of a kind"),
        ("a.jpg", JPEG[: len(JPEG) // 2], "damaged or cut off"),
        ("a.jpg", JPEG[:-2], "damaged or cut off"),
        ("a.jpg", JPEG[:30], "damaged or cut off"),
        ("a.jpg", JPEG[:300] + bytes(len(JPEG) - 300), "damaged or cut off"),
        ("a.jpg", b"<html>404</html>", "no image of a kind"),
        ("a.bmp", b"BM" + bytes(20), "damaged or cut off"),
        ("a.gif", b"GIF89a\x01", "no image of a kind"),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", "damaged or cut off"),
        ("a.tif", encoded("TIFF")[:12], "no image of a kind"),
    ],
)
def test_an_image_file_that_is_damaged(capsys, tmp_path, name, content, message) -> None:
    folder = photos(tmp_path / "photos", count=3)
    (folder / "dog" / name).write_bytes(content)
    said = train(capsys, tmp_path, folder)
    assert message in said
    assert f"{folder}/dog/{name}: " in said
    assert "mend it, or take it out of the folder" in said


def emptied(folder: Path) -> None:
    (folder / "emu").mkdir()


def alone(folder: Path) -> None:
    shutil.rmtree(folder / "dog")


def one_each(folder: Path) -> None:
    for path in folder.glob("*/*.png"):
        if path.name != "0.png":
            path.unlink()


def nothing(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def link(folder: Path) -> None:
    (folder / "cat" / "a.png").symlink_to("nowhere.png")


def foreign_class(folder: Path) -> None:
    os.rename(os.fsencode(folder / "cat"), os.fsencode(folder) + b"/\xe4ffin")


def foreign_file(folder: Path) -> None:
    os.rename(os.fsencode(folder / "cat/0.png"), os.fsencode(folder / "cat") + b"/\xe4.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (emptied, "emu: a class without images"),
        (alone, "the only folder with images in it is 'cat'"),
        (one_each, "2 images are too few: 1 would be left to train on, all of one class"),
        (nothing, "no folders of image files, one for each class; it holds nothing"),
        (link, "a.png: there is no such file"),
        (foreign_class, "\\udce4ffin: expected names in UTF-8, and this one is in another"),
        (foreign_file, "\\udce4.png: expected names in UTF-8"),
    ],
)
def test_a_folder_that_cannot_be_used(capsys, tmp_path, change, message) -> None:
    folder = photos(tmp_path / "photos")
    change(folder)
    assert message in train(capsys, tmp_path, folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "lenet"], "lenet needs images of at least 12 x 12 pixels, these are 6 x 7"),
        (["--model", "alexnet"], "at least 63 x 63 pixels, these are 6 x 7: --size 63 brings them"),
        (["--model", "vgg16"], "at least 32 x 32"),
        (["--model", "resnet18"], "at least 8 x 8"),
        (["--model", "mobilenet"], "at least 8 x 8"),
        (["--size", "3"], "cnn needs images of at least 6 x 6 pixels, these are 3 x 3"),
        (["--model", "gpt"], "expected a file, but this is a folder"),
        (["--target", "x"], "--target is for tables"),
    ],
)
def test_a_model_that_does_not_fit_the_images(capsys, tmp_path, options, message) -> None:
    assert message in train(capsys, tmp_path, photos(tmp_path / "photos"), *options)


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"


def cut(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def changed(folder: Path) -> None:
        raw = (folder / name).read_bytes()
        new = gzip.compress(change(gzip.decompress(raw))) if name.endswith(".gz") else change(raw)
        (folder / name).write_bytes(new)

    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut(IMAGES, lambda raw: raw[:-5]), "the file holds 3,595: truncated"),
        (cut(IMAGES, lambda raw: raw[:9]), "truncated: the header of 3 dimensions has 16 bytes"),
        (cut(IMAGES, lambda raw: raw + b"1"), "but more bytes follow"),
        (cut(LABELS, lambda raw: b""), "an IDX header has at least 4 bytes, the file has 0"),
        (cut(LABELS, lambda raw: b"hello"), "not an IDX file: expected two zero bytes"),
        (lambda f: (f / IMAGES).write_bytes((f / IMAGES).read_bytes()[:-30]), "breaks off"),
        (lambda f: (f / LABELS).unlink(), "expected 'train-labels-idx1-ubyte'"),
        (lambda f: (f / IMAGES).unlink(), "expected 'train-images-idx3-ubyte'"),
        (lambda f: write_idx(f / LABELS, np.arange(30) % 4), "120 images but 30 labels"),
        (lambda f: write_idx(f / IMAGES, np.zeros((120, 0, 0))), "no images: the shape is (120, 0"),
        (lambda f: write_idx(f / LABELS, np.zeros(120)), "the test set has the label 3, but the"),
        (
            lambda f: write_idx(f / "t10k-images-idx3-ubyte.gz", np.zeros((40, 7, 7))),
            "training images are 6 x 5, test images 7 x 7",
        ),
    ],
)
def test_idx_files_that_are_damaged(capsys, tmp_path, change, message) -> None:
    folder = squares(tmp_path / "squares")
    change(folder)
    assert message in train(capsys, tmp_path, folder)


X, Y = SOURCE.integers(0, 255, (30, 8, 8)).astype(np.uint8), np.arange(30) % 3


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "the file holds no arrays"),
        ({"x_train": X}, "'x_train' has no labels; expected arrays x_train, y_train"),
        ({"x_train": X, "y_train": Y[:9]}, "'x_train' holds 30 images, but 'y_train' 9 labels"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "no images: the shape is (0, 8, 8)"),
        ({"x_train": X[0, 0], "y_train": Y[:8]}, "expected images (N, height, width)"),
        ({"x_train": X[:, None, None], "y_train": Y}, "expected images (N, height, width)"),
        ({"x_train": np.repeat(X[..., None], 5, 3), "y_train": Y}, "with 1, 3 or 4 channels"),
        ({"x_train": X * 1j, "y_train": Y}, "expected images in numbers, found complex128"),
        ({"x_train": np.where(X > 250, np.nan, X / 255), "y_train": Y}, "holds NaN or infinity"),
        ({"x_train": np.array([X, None], object), "y_train": Y}, "Python objects, which are never"),
        ({"x_train": X, "y_train": Y + 0.5}, "label 1 is 0.5; expected whole numbers or text"),
        ({"x_train": X, "y_train": np.array([b"\xff", b"b", b"c"])[Y]}, "expected text in UTF-8"),
        (
            {"x_train": X, "y_train": np.array(["\ud800", "b", "c"])[Y]},
            "which has half a character",
        ),
        ({"x_train": X, "y_train": Y * 0}, "all images are of '0'"),
        ({"x_train": X[:2], "y_train": Y[:2]}, "2 images are too few: 1 would be left to train on"),
        ({"x_train": X[:, :1, :1], "y_train": Y}, "these are 1 x 1: --size 6 brings them there"),
    ],
)
def test_arrays_that_are_no_images(capsys, tmp_path, arrays, message) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    assert message in train(capsys, tmp_path, tmp_path / "a.npz")


@pytest.mark.parametrize("length", [0, 10, 1000, -5])
def test_an_archive_that_is_cut_off(capsys, tmp_path, length) -> None:
    np.savez(tmp_path / "a.npz", x_train=X, y_train=Y)
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:length])
    said = train(capsys, tmp_path, tmp_path / "a.npz")
    assert "truncated or damaged .npz file" in said or "not an .npz file" in said


def test_cifar_files_that_are_damaged(capsys, tmp_path) -> None:
    folder = tmp_path / "cifar"
    folder.mkdir()
    for name in ("data_batch_1.bin", "test_batch.bin"):
        rows = [bytes([i % 10]) + SOURCE.bytes(3072) for i in range(20)]
        (folder / name).write_bytes(b"".join(rows))
    test = folder / "test_batch.bin"
    whole = test.read_bytes()
    for content, message in (
        (whole[:-7], "61,453 bytes, which are not records of 3,073 bytes"),
        (b"", "0 bytes, which are not records"),
        (b"\x4d" + whole[1:], "record 1 has the label 77, expected 0 to 9"),
    ):
        test.write_bytes(content)
        assert message in train(capsys, tmp_path, folder)
    test.write_bytes(whole)
    run = ["--model", "mlp", "--epochs", "1", "--run", tmp_path / "other"]
    code, out, _ = call(capsys, "train", folder, *run)
    assert code == 0
    assert "4 of the 5 files to train on are not there, the first is 'data_batch_2.bin'" in out


GERMAN = ("Größe und Maß, schön wäre es.\n" * 60).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            GERMAN[:492] + b"\xff" + GERMAN[492:],
            "damaged UTF-8: line 15, column 3 has the byte 0xff",
        ),
        (GERMAN.replace(b"\xc3\x9f", b"\xc3\x20", 1), "line 1, column 4 has the byte 0xc3"),
        (
            GERMAN.replace(b"\xc3\xb6", b"\xb6", 3),
            "column 3 has the byte 0xb6, which is part of no",
        ),
        (GERMAN.replace(b"\xc3\xb6", b"\xb6", 3), "(and 2 more)"),
        (GERMAN[: GERMAN.rfind(b"\xc3") + 1], "ends amid a character: the file is cut off"),
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf \n\n", "the file is empty"),
        (b"abc", "3 tokens are too few for windows of 16"),
        (b"abc\0def" * 90, "line 1 has a zero byte, which stands in no text"),
        (b"\x13\xff" * 900, "the byte 0x13, which stands in no text"),
        (b"%PDF-1.4 " * 90, "this is a PDF document: save the text in it as a plain text file"),
        (PNG, "this is a PNG image: save the text in it as a plain text file"),
        (gzip.compress(GERMAN, mtime=0)[:-9], "the compressed file is damaged or cut off"),
        (("abcdef" * 300).encode("utf-16")[:-1], "the file begins as UTF-16 text, but is not"),
    ],
)
def test_a_text_that_is_none(capsys, tmp_path, content, message) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    said = train(capsys, tmp_path, tmp_path / "t.txt", *TEXT)
    assert message in said
    assert f"{tmp_path}/t.txt: " in said


def test_documents_that_are_no_plain_texts(capsys, tmp_path) -> None:
    for member, what in (
        ("word/document.xml", "a Word document"),
        ("content.xml", "an OpenDocument file"),
    ):
        with zipfile.ZipFile(tmp_path / "a.docx", "w") as archive:
            archive.writestr(member, "")
        said = train(capsys, tmp_path, tmp_path / "a.docx", *TEXT)
        assert f"this is {what}: save the text in it as a plain text file (UTF-8)" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--block", "100000"], "1,800 tokens are too few for windows of 100000"),
        (["--heads", "3"], "width must be a multiple of heads"),
        (["--tokenizer", "none.json"], "none.json: there is no such file"),
        (["--tokenizer", "words"], "there is no tokenizer 'words'"),
        (["--model", "cnn"], "--block is for models of texts"),
        (["--augment", "flip"], "--augment is not for texts"),
    ],
)
def test_options_that_do_not_fit_a_text(capsys, tmp_path, options, message) -> None:
    (tmp_path / "t.txt").write_bytes(GERMAN)
    assert message in train(capsys, tmp_path, tmp_path / "t.txt", *TEXT, *options)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder with a run of images, one of a text, and what they were trained on."""
    folder = tmp_path_factory.mktemp("runs")
    photos(folder / "photos", ("$cat", "$d_{o}g$"))
    (folder / "t.txt").write_bytes(GERMAN)
    where = ["train", str(folder / "photos"), *QUICK, "--run", str(folder / "images")]
    assert main(where) == 0
    assert main(["train", str(folder / "t.txt"), *QUICK, *TEXT, "--run", str(folder / "text")]) == 0
    return folder


def use(kind: str, run: Path, folder: Path) -> list[object]:
    if kind == "images":
        return ["predict", run, folder / "photos" / "$cat" / "0.png"]
    return ["generate", run, "--length", "5"]


@pytest.mark.parametrize(
    ("kind", "name", "change", "message"),
    [
        ("images", "config.json", lambda t: t[:50], "not valid JSON"),
        ("images", "config.json", lambda t: b"\xff" + t, "not valid JSON"),
        (
            "images",
            "config.json",
            lambda t: t.replace(b'"form"', b'"farm"'),
            "not the configuration",
        ),
        (
            "images",
            "config.json",
            lambda t: t.replace(b'"height": 6', b'"height": 7'),
            "another model",
        ),
        ("images", "preprocessing.json", lambda t: t[:-20], "not valid JSON"),
        ("images", "preprocessing.json", lambda t: t.replace(b'"mean"', b'"men"'), "is damaged"),
        (
            "images",
            "preprocessing.json",
            lambda t: t.replace(b'"width": 7', b'"width": 9'),
            "another",
        ),
        ("images", "model.safetensors", lambda t: t[:-4], "truncated"),
        ("images", "model.safetensors", lambda t: t[:100], "truncated"),
        (
            "text",
            "config.json",
            lambda t: t.replace(b'"block": 16', b'"block": 32'),
            "another arch",
        ),
        ("text", "config.json", lambda t: t.replace(b'"heads": 2', b'"heads": 3'), "is damaged"),
        ("text", "preprocessing.json", lambda t: b"", "not valid JSON"),
        ("text", "preprocessing.json", lambda t: t.replace(b'"\\n', b'"\\nQ'), "another model"),
        ("text", "model.safetensors", lambda t: b"", "truncated"),
        ("text", "model.safetensors", lambda t: t + b"1", "truncated"),
    ],
)
def test_files_of_a_run_that_are_damaged(
    capsys, tmp_path, runs, kind, name, change, message
) -> None:
    run = shutil.copytree(runs / kind, tmp_path / "run")
    before = (run / name).read_bytes()
    (run / name).write_bytes(change(before))
    assert (run / name).read_bytes() != before
    said = fails(capsys, *use(kind, run, runs))
    assert message in said
    assert f"{run}/" in said
    assert call(capsys, *use(kind, runs / kind, runs))[0] == 0


@pytest.mark.parametrize("kind", ["images", "text"])
@pytest.mark.parametrize("content", [b"", b"x" * 900, None])
def test_a_checkpoint_that_is_damaged(capsys, tmp_path, runs, kind, content) -> None:
    run = shutil.copytree(runs / kind, tmp_path / "run")
    other = runs / ("text" if kind == "images" else "images") / "checkpoint.safetensors"
    (run / "checkpoint.safetensors").write_bytes(content or other.read_bytes() * (content is None))
    said = fails(capsys, "train", "--resume", "--run", run, "--quiet")
    assert f"{run}/checkpoint.safetensors: " in said


def test_what_does_not_fit_a_run(capsys, tmp_path, runs) -> None:
    images, text = runs / "images", runs / "text"
    np.savez(tmp_path / "a.npz", images=X)
    (tmp_path / "one.txt").write_text("G")
    (tmp_path / "other.txt").write_text("日本" * 40)
    photos(tmp_path / "others", ("ape", "bee"), 2)
    for arguments, message in (
        (["predict", images, tmp_path / "a.npz"], "the model takes images of 6 x 7 pixels, 3"),
        (["predict", images, tmp_path / "none.png"], "there is no such file"),
        (["predict", text, tmp_path / "one.txt"], "the model of this run continues texts"),
        (["evaluate", images, tmp_path / "others"], "a label that training never showed: 'ape'"),
        (["evaluate", text, tmp_path / "one.txt"], "one.txt: expected two characters at least"),
        (["evaluate", text, tmp_path / "other.txt"], "other.txt: line 1, column 1: the character"),
        (["generate", images], "it writes no text"),
        (["generate", text, "--prompt", "日本"], "--prompt: line 1, column 1: the character"),
        (["generate", text, "--temperature", "-1"], "temperature is a number from 0 on"),
    ):
        assert message in fails(capsys, *arguments)


def test_a_path_in_another_encoding_is_escaped_in_tables(capsys, tmp_path) -> None:
    folder = photos(tmp_path / "photos")
    foreign = os.fsencode(tmp_path) + b"/\xe4ffin"
    os.rename(os.fsencode(folder), foreign)
    run = tmp_path / "run"
    code, _, said = call(capsys, "train", os.fsdecode(foreign), *QUICK, "--run", run)
    assert (code, said) == (0, "")
    assert f"{tmp_path}/\\udce4ffin/cat/0.png" in (run / "split.csv").read_text()
