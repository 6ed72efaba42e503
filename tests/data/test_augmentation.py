"""Random changes of images, and the data set that makes a batch at a time."""

from __future__ import annotations

import numpy as np
import pytest

from nnscratch.array.random import Generator, default_generator, own_stream
from nnscratch.data import (
    Compose,
    ImageDataset,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)
from nnscratch.errors import ConfigurationError

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 3, 6, 5), dtype=np.uint8)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("make", [RandomCrop(2), RandomHorizontalFlip(), RandomErasing(), Compose([
    RandomCrop(1), RandomHorizontalFlip()])])  # fmt: skip
def test_they_repeat_and_change_no_input(make, dtype):
    images = IMAGES.astype(dtype)
    before = images.copy()
    made = []
    for seed in (1, 1, 2):
        with own_stream(Generator(seed)):
            made.append(make(images))
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    assert not np.array_equal(made[0], images)
    assert (made[0].shape, made[0].dtype) == (images.shape, images.dtype)
    assert not np.shares_memory(made[0], images)


def test_a_crop_is_one_of_the_places_with_edges_repeated():
    padded = np.pad(IMAGES, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
    seen = set()
    for index, image in enumerate(RandomCrop(2)(IMAGES)):
        places = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if np.array_equal(padded[index, :, top : top + 6, left : left + 5], image)
        ]
        assert len(places) == 1
        seen.add(places[0])
    # 40 draws of 25 places: each side of both axes is met.
    assert {0, 4} <= {top for top, _ in seen}
    assert {0, 4} <= {left for _, left in seen}


def test_a_flip_mirrors_some_from_left_to_right():
    made = RandomHorizontalFlip()(IMAGES)
    same = [np.array_equal(a, b) for a, b in zip(made, IMAGES, strict=True)]
    assert 5 < sum(same) < 35
    for image, old, kept in zip(made, IMAGES, same, strict=True):
        np.testing.assert_array_equal(image, old if kept else old[:, :, ::-1])
    np.testing.assert_array_equal(RandomHorizontalFlip(0.0)(IMAGES), IMAGES)


def test_an_erased_rectangle_has_the_mean_of_its_image():
    large = np.random.default_rng(0).random((30, 2, 20, 24))
    made = RandomErasing(1.0)(large)
    for image, old in zip(made, large, strict=True):
        changed = image != old
        assert np.array_equal(changed[0], changed[1])
        rows, columns = changed[0].any(axis=1), changed[0].any(axis=0)
        assert changed[0].sum() == rows.sum() * columns.sum()
        assert 0.01 < changed[0].mean() < 0.3
        np.testing.assert_allclose(
            image[:, changed[0]],
            np.broadcast_to(old.mean(axis=(1, 2))[:, None], (2, changed[0].sum())),
        )
    np.testing.assert_array_equal(RandomErasing(0.0)(large), large)


def test_wrong_options():
    for make in (RandomHorizontalFlip, RandomErasing):
        with pytest.raises(ConfigurationError, match=r"p must be from 0 to 1, got 1\.5"):
            make(1.5)
    with pytest.raises(ConfigurationError, match="padding must be 1 or more, got 0"):
        RandomCrop(0)


def scaled(images):
    return images.astype(np.float32) / 255


def test_a_data_set_of_images():
    data = ImageDataset(IMAGES, np.arange(40), scaled)
    assert len(data) == 40
    image, label = data[-1]
    np.testing.assert_array_equal(image, scaled(IMAGES[-1]))
    assert label == 39
    with pytest.raises(IndexError):
        data[40]
    seen = []
    for X, y in data.loader(16, shuffle=True, seed=3):
        np.testing.assert_array_equal(X.array, scaled(IMAGES[y.array]))
        seen += y.tolist()
    assert sorted(seen) == list(range(40))
    assert seen != sorted(seen)
    alone = ImageDataset(IMAGES[:, 0], None, scaled)
    assert alone[3].shape == (1, 6, 5)
    assert [len(batch) for batch in alone.loader(30)] == [1, 1]


def test_a_loader_resumes_with_the_same_changes():
    data = ImageDataset(IMAGES, np.arange(40), scaled, RandomCrop(2))
    whole = [X.array for _ in range(2) for X, _ in data.loader(16, shuffle=True, seed=3)]
    loader = data.loader(16, shuffle=True, seed=3)
    first = [X.array for X, _ in loader]
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    # Another loader, later on: whatever was drawn in between is of no account.
    default_generator.uniform((100,))
    other = data.loader(16, shuffle=True, seed=3)
    other.load_state_dict(state)
    rest = [X.array for X, _ in other]
    assert len(rest) == 2
    for made, wanted in zip(first, whole[:3], strict=True):
        np.testing.assert_array_equal(made, wanted)
    for made, wanted in zip(rest, [X.array for X, _ in _second_epoch(data)][1:], strict=True):
        np.testing.assert_array_equal(made, wanted)


def _second_epoch(data):
    loader = data.loader(16, shuffle=True, seed=3)
    list(loader)
    return list(loader)


def test_workers_make_the_same_batches():
    data = ImageDataset(IMAGES, np.arange(40), scaled, RandomCrop(2))
    alone = list(data.loader(16, shuffle=True, seed=3))
    for made, wanted in zip(
        data.loader(16, shuffle=True, seed=3, num_workers=2), alone, strict=True
    ):
        np.testing.assert_array_equal(made[0].array, wanted[0].array)
