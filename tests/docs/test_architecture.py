"""The picture of the rooms is that of the imports, and the page names every room."""

from __future__ import annotations

from pathlib import Path

from benchmarks.room_picture import arrows, floors, picture, sentence

ROOT = Path(__file__).parents[2]


def test_the_picture_is_of_these_imports() -> None:
    told = "python -m benchmarks.room_picture docs/architecture.svg"
    assert (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8") == picture(), told


def test_a_room_stands_above_all_that_it_imports() -> None:
    below = arrows()
    level = {room: k for k, row in enumerate(floors(below)) for room in row}
    assert all(level[other] > level[room] for room, others in below.items() for other in others)
    assert level["array"] == max(level.values())


def test_every_room_says_what_it_is_and_is_on_the_page() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for room in arrows():
        assert len(sentence(room)) > 10, room
        assert f"`{room}/`" in page, room
