"""Folders of image files, CIFAR's binaries and .npz files with images."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from nnscratch.data import load_images
from nnscratch.data.image_arrays import unlabelled_images
from nnscratch.errors import DataError


def picture(path, size=(8, 8), colour=(200, 30, 30), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], colour).convert(mode).save(path)
    return path


def pets(folder, classes=("cat", "dog"), count=3, **options):
    for number, name in enumerate(classes):
        for index in range(count):
            picture(folder / name / f"{index}.png", colour=(60 * number, 9, index), **options)
    return folder


def fails(folder, message, **options):
    with pytest.raises(DataError, match=message) as caught:
        load_images(folder, **options)
    assert str(folder) in str(caught.value)


def test_a_folder_for_each_class(tmp_path):
    pets(tmp_path / "pets", ("dog", "cat"))
    picture(tmp_path / "pets" / "cat" / "deeper" / "3.JPG")
    (tmp_path / "pets" / "cat" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "pets" / ".git").mkdir()
    made = load_images(tmp_path / "pets")
    assert (made.name, made.test, made.validation, made.notes) == ("pets", None, None, ())
    assert made.train.class_names == ("cat", "dog")
    assert made.train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert made.train.shape == (3, 8, 8)
    assert made.train.images[4:, :, 0, 0].tolist() == [[0, 9, 0], [0, 9, 1], [0, 9, 2]]


def test_parts_for_training_validation_and_test(tmp_path):
    for part, count in (("train", 3), ("Test", 2), ("val", 1)):
        pets(tmp_path / part, count=count)
    made = load_images(tmp_path)
    assert (len(made.train), len(made.test), len(made.validation)) == (6, 4, 2)
    assert made.test.labels.tolist() == [0, 0, 1, 1]
    (tmp_path / "Test").rename(tmp_path.parent / f"{tmp_path.name}-away")
    made = load_images(tmp_path)
    assert (len(made.test), made.validation) == (2, None)


def test_a_test_set_may_lack_a_class_but_have_none_of_its_own(tmp_path):
    pets(tmp_path / "train", ("ant", "bee", "cat"))
    pets(tmp_path / "test", ("bee", "cat"), count=1)
    assert load_images(tmp_path).test.labels.tolist() == [1, 2]
    pets(tmp_path / "test", ("dog",), count=1)
    fails(tmp_path, r"no images to train on show 'dog': the classes are 'ant', 'bee', 'cat'")


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    pets(tmp_path, ("2", "10", "9"), count=1)
    made = load_images(tmp_path)
    assert made.train.class_names == ("2", "9", "10")
    # Files are read folder by folder: "10", "2", "9".
    assert made.train.labels.tolist() == [2, 0, 1]


def test_grey_where_all_are(tmp_path):
    pets(tmp_path, mode="L")
    assert load_images(tmp_path).train.shape == (1, 8, 8)
    # Colours of which all three are equal are grey, too.
    picture(tmp_path / "cat" / "9.png", colour=(7, 7, 7))
    assert load_images(tmp_path).train.shape == (1, 8, 8)
    picture(tmp_path / "cat" / "10.png", colour=(7, 8, 7))
    assert load_images(tmp_path).train.shape == (3, 8, 8)


def test_sizes(tmp_path):
    pets(tmp_path / "a", size=(20, 24))
    assert load_images(tmp_path / "a").train.shape == (3, 20, 24)
    picture(tmp_path / "a" / "dog" / "big.png", size=(90, 200))
    made = load_images(tmp_path / "a")
    assert made.train.shape == (3, 64, 64)
    assert "of 2 sizes, from 20 x 24 to 90 x 200" in made.notes[0]
    assert "--size" in made.notes[0]
    made = load_images(tmp_path / "a", size=(16, 12))
    assert (made.train.shape, made.notes) == (
        (3, 16, 12),
        ("images are brought to 16 x 12 pixels",),
    )
    pets(tmp_path / "b", size=(300, 300))
    made = load_images(tmp_path / "b")
    assert made.train.shape == (3, 64, 64)
    assert "all images are 300 x 300" in made.notes[0]


def test_what_is_passed_over_is_said(tmp_path):
    pets(tmp_path)
    (tmp_path / "labels.txt").write_text("x")
    picture(tmp_path / "loose.png")
    first = Image.new("L", (8, 8))
    first.save(tmp_path / "dog" / "two.tif", save_all=True, append_images=[first])
    assert load_images(tmp_path).notes == (
        "other files are passed over (1): 'labels.txt'",
        "images in no folder of a class are passed over (1): 'loose.png'",
        "of files with several pictures (1) the first is taken",
    )


def test_folders_that_are_no_classes(tmp_path):
    fails(tmp_path, "no folders of image files, one for each class; it holds nothing")
    picture(tmp_path / "a.png")
    fails(tmp_path, "'a.png' lie in no folder of a class; expected FOLDER/cat/1.jpg")
    picture(tmp_path / "cat" / "a.png")
    fails(tmp_path, "two classes or more, and the only folder with images in it is 'cat'")
    (tmp_path / "dog").mkdir()
    fails(tmp_path, "dog: a class without images")
    (tmp_path / "dog" / "a.heic").write_bytes(b"x")
    fails(tmp_path, "a.heic: images of this kind cannot be read: export them")
    (tmp_path / "dog" / "b.png").write_bytes(b"broken")
    fails(tmp_path, "b.png: no image of a kind that Pillow reads")
    fails(tmp_path / "missing", "there is no such file or folder")
    fails(tmp_path / "a.png", "this is one image: name a folder")


def test_one_folder_too_high_and_an_array_alone(tmp_path):
    (tmp_path / "sets" / "mnist").mkdir(parents=True)
    (tmp_path / "sets" / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(b"")
    fails(tmp_path / "sets", "the files with the images are in .*mnist: name that one")
    fails(
        tmp_path / "sets" / "mnist" / "train-images-idx3-ubyte.gz",
        "this is one of several files: name their folder, .*mnist$",
    )
    np.save(tmp_path / "x.npy", GREY)
    fails(tmp_path / "x.npy", "this is a single array .* one file with numpy.savez")


def test_train_beside_classes_is_refused(tmp_path):
    pets(tmp_path / "train")
    picture(tmp_path / "bird" / "a.png")
    fails(tmp_path, "'bird' beside 'train': expected either a folder for each class")


def test_more_images_than_fit(tmp_path):
    from nnscratch.data.image_folders import load_image_folder

    pets(tmp_path)
    with pytest.raises(DataError, match=r"6 images of 8 x 8 take .* GiB, more than the limit"):
        load_image_folder(tmp_path, max_bytes=1000)


# CIFAR.


def cifar(path, labels, fine=None):
    rows = []
    for index, label in enumerate(labels):
        head = [label] if fine is None else [label, fine[index]]
        rows.append(bytes(head) + bytes(1024 * [index] + 2048 * [9]))
    path.write_bytes(b"".join(rows))


def test_cifar_10(tmp_path):
    cifar(tmp_path / "data_batch_1.bin", [3, 0])
    cifar(tmp_path / "data_batch_2.bin", [9])
    cifar(tmp_path / "test_batch.bin", [1])
    made = load_images(tmp_path)
    assert made.train.images.shape == (3, 3, 32, 32)
    assert made.train.labels.tolist() == [3, 0, 9]
    assert made.train.images[:, :, 0, 0].tolist() == [[0, 9, 9], [1, 9, 9], [0, 9, 9]]
    assert made.test.class_names == ("0", "1")
    names = ["ship", "car", "dog", "cat", "elk", "fox", "gnu", "hen", "ibis", "jay"]
    (tmp_path / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    made = load_images(tmp_path)
    assert made.train.class_names == tuple(sorted(names))
    assert [made.train.class_names[i] for i in made.train.labels] == ["cat", "ship", "jay"]


def test_cifar_100_has_fine_labels(tmp_path):
    cifar(tmp_path / "train.bin", [1, 2], [99, 4])
    made = load_images(tmp_path)
    assert made.train.labels.tolist() == [99, 4]
    assert made.train.images[1, 0, 0, 0] == 1


def test_cifar_that_is_none(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x04")
    fails(tmp_path, "its files are pickles, which can run any program .* binary version")
    cifar(tmp_path / "data_batch_1.bin", [1, 2])
    whole = (tmp_path / "data_batch_1.bin").read_bytes()
    (tmp_path / "data_batch_1.bin").write_bytes(whole[:-1])
    fails(tmp_path, "6,145 bytes, which are not records of 3,073 bytes")
    cifar(tmp_path / "data_batch_1.bin", [1, 12])
    fails(tmp_path, "record 2 has the label 12, expected 0 to 9")
    (tmp_path / "data_batch_1.bin").rename(tmp_path / "test_batch.bin")
    fails(tmp_path, "no data_batch_1.bin to train on")


# NPZ.

SOURCE = np.random.default_rng(0)
GREY = SOURCE.integers(0, 256, (6, 5, 7), dtype=np.uint8)
COLOUR = SOURCE.integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ("x_train", "y_train"),
        ("X_train", "y_train"),
        ("train_images", "train_labels"),
        ("images", "labels"),
        ("data", "target"),
        ("arr_0", "arr_1"),
        ("trainX", "trainY"),
        ("train_x", "train_y"),
    ],
)
def test_arrays_as_people_name_them(tmp_path, x, y):
    made = load_images(npz(tmp_path / "a.npz", **{x: GREY, y: LABELS}))
    np.testing.assert_array_equal(made.train.images, GREY)
    assert made.train.labels.tolist() == LABELS.tolist()
    assert (made.name, made.test, made.train.white) == ("a", None, 255)


def test_parts_of_an_archive(tmp_path):
    # As MedMNIST writes them.
    parts = {}
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        parts[f"{part}_images"] = COLOUR[:count]
        parts[f"{part}_labels"] = LABELS[:count, None]
    made = load_images(npz(tmp_path / "a.npz", **parts))
    assert [len(p) for p in (made.train, made.validation, made.test)] == [6, 2, 3]
    np.testing.assert_array_equal(made.test.images, COLOUR[:3].transpose(0, 3, 1, 2))
    del parts["test_images"], parts["test_labels"]
    made = load_images(npz(tmp_path / "a.npz", **parts))
    assert (len(made.test), made.validation) == (2, None)


def test_layouts_and_dtypes(tmp_path):
    def images(x):
        return load_images(npz(tmp_path / "a.npz", x=x, y=LABELS)).train

    first = COLOUR.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(images(first).images, first)
    np.testing.assert_array_equal(images(GREY[..., None]).images, GREY)
    np.testing.assert_array_equal(images(GREY[:, None]).images, GREY)
    assert images(GREY.astype(np.int64)).images.dtype == np.uint8
    assert images(np.asfortranarray(GREY)).images.tolist() == GREY.tolist()
    deep = images(GREY.astype(np.int32) * 200)
    assert (deep.images.dtype, deep.white) == (np.uint16, 65535)
    share = images(GREY / 255.0)
    assert (share.images.dtype, share.white) == (np.float32, 1)
    assert images(GREY.astype(np.float64)).white == 255
    assert images(GREY > 100).images.tolist() == (255 * (GREY > 100)).tolist()


def test_labels_of_every_kind(tmp_path):
    def read(y, **more):
        made = load_images(npz(tmp_path / "a.npz", x=GREY, y=y, **more)).train
        return [made.class_names[label] for label in made.labels]

    words = ["0", "1", "2", "0", "1", "2"]
    assert read(LABELS.astype(np.float32)) == words
    assert read(np.eye(3)[LABELS]) == words
    assert read(LABELS.astype(np.uint8)[:, None]) == words
    kinds = ["oak", "elm", "ash", "oak", "elm", "ash"]
    assert read(np.array(kinds)) == kinds
    assert read(np.array(kinds).astype("S")) == kinds
    assert read(LABELS, class_names=np.array(kinds[:3])) == kinds
    # Numbers in one part and texts in another are compared as texts.
    for first, second in ((LABELS, LABELS.astype(str)), (LABELS.astype("S"), LABELS)):
        parts = {"x_train": GREY, "y_train": first, "x_test": GREY, "y_test": second}
        made = load_images(npz(tmp_path / "b.npz", **parts))
        for part in (made.train, made.test):
            assert [part.class_names[label] for label in part.labels] == words


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": GREY}, r"'x' has no labels; expected .* the file holds x \(6, 5, 7\)"),
        ({"y": LABELS}, "no images to train on"),
        ({"x": GREY, "y": LABELS[:4]}, "'x' holds 6 images, but 'y' 4 labels"),
        ({"x": GREY.reshape(6, -1), "y": LABELS}, r"rows of 35 values: reshape them"),
        ({"x": np.zeros((6, 5, 5, 5)), "y": LABELS}, "with 1, 3 or 4 channels"),
        ({"x": np.zeros(6), "y": LABELS}, "expected images"),
        ({"x": GREY, "y": LABELS + 0.5}, "label 1 is 0.5; expected whole numbers"),
        ({"x": GREY, "y": np.ones((6, 3))}, "an image can be of one class only"),
        ({"x": GREY * np.float32("nan"), "y": LABELS}, "image 1 holds NaN or infinity"),
        ({"x": GREY.astype(int) - 300, "y": LABELS}, "pixels from -300"),
        ({"x": GREY.astype(str), "y": LABELS}, "expected images in numbers"),
        ({"x": GREY, "y": LABELS - 1}, "a label is negative"),
        ({"x": GREY, "y": LABELS, "names": np.array(["a", "b"])}, "the label 2, but there are 2"),
        ({"x_train": GREY, "y_train": np.array(list("abcabc")),
          "x_test": GREY, "y_test": np.array(list("abcabz"))}, "never shows: 'z'"),
        ({"x": GREY, "y": np.array([b"\xe9", b"a"] * 3)}, "'y': expected text in UTF-8, found"),
        ({"x": GREY, "y": LABELS, "names": np.array([b"\xe9", b"a", b"b"])}, "'names': expected"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit(tmp_path, arrays, message):
    fails(npz(tmp_path / "a.npz", **arrays), message)


def test_images_without_labels(tmp_path):
    path = npz(tmp_path / "a.npz", anything=COLOUR)
    np.testing.assert_array_equal(unlabelled_images(path), COLOUR.transpose(0, 3, 1, 2))
    assert unlabelled_images(npz(path, x=COLOUR, y=LABELS)) is None
    with pytest.raises(DataError, match="which array is meant is not clear"):
        unlabelled_images(npz(path, a=COLOUR, b=COLOUR))


def test_another_size_of_arrays(tmp_path):
    made = load_images(npz(tmp_path / "a.npz", x=COLOUR, y=LABELS), size=(10, 10))
    assert made.train.shape == (3, 10, 10)
    assert made.notes == ("images of 5 x 7 are brought to 10 x 10 pixels",)
    with pytest.raises(DataError, match=re.escape("is none of them")):
        load_images(__file__)
