"""The pages of the site are all there, and what looks through the site finds what is wrong."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import crawl
import pytest

from nnscratch.formulas import FORMULAS
from nnscratch.inspect.mathml import unread

ROOT = Path(__file__).parents[2]
EQUATION = re.compile(r"\$\$(.+?)\$\$|(?<![\w`$\\])\$([^$`]+)\$(?![\w`])", re.DOTALL)


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def site(pages: ModuleType) -> dict[str, str | Path]:
    return pages.site()


def test_every_page_is_reached_from_the_readme(site: dict[str, str | Path]) -> None:
    wanted = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("docs/**/*.ipynb")]
    for path in wanted:
        place = path.relative_to(ROOT).as_posix().replace("README.md", "index.md")
        assert place in site, place


def test_every_formula_has_a_page(pages: ModuleType, site: dict[str, str | Path]) -> None:
    own = [f for f in FORMULAS.values() if f.forward.__module__.startswith("nnscratch.")]
    for formula in own:
        text = str(site[f"formulas/{formula.name}.md"])
        assert f"# `{formula.name}`" in text
        assert ("nnscratch.homework" in text) == (formula.backward is not None)
        assert "verdict: wrong" not in text


def test_links_lead_to_pages_of_the_site(pages: ModuleType, site: dict[str, str | Path]) -> None:
    for place, page in site.items():
        if isinstance(page, Path) or place.startswith("source/") or not place.endswith(".md"):
            continue
        text = re.sub(r"^(`{3,}).*?^\1`*$", "", page, flags=re.DOTALL | re.MULTILINE)
        text = re.sub(r"`[^`\n]*`(?!\])", "", text)
        for link in pages.LINK.findall(text):
            target = (ROOT / place).parent.joinpath(link).resolve().relative_to(ROOT)
            assert re.match("https?:", link) or target.as_posix() in site, (place, link)


def test_every_equation_is_one_that_mathml_is_made_of(site: dict[str, str | Path]) -> None:
    for place, page in site.items():
        if isinstance(page, str) and place.endswith(".md") and not place.startswith("source/"):
            text = re.sub(r"^(`{3,}).*?^\1`*$", "", page, flags=re.DOTALL | re.MULTILINE)
            for shown, inline in EQUATION.findall(re.sub(r"`[^`\n]*`", "", text)):
                assert unread(shown or inline) == [], (place, shown or inline)


GOOD = '<p id="a">5 dollars</p><a href="other.html#b">x</a><code>$x$ \\frac</code>'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD, []),
        ('<a href="gone.html">x</a>', ["index.html leads to gone.html, which is nowhere"]),
        ('<a href="#c">x</a>', ["index.html leads to #c, where nothing has that name"]),
        (
            '<a href="other.html#a">x</a>',
            ["index.html leads to other.html#a, where nothing has that name"],
        ),
        ('<img src="https://b.c/d.png">', ["index.html loads https://b.c/d.png"]),
        ('<script src="//b.c/d.js"></script>', ["index.html loads //b.c/d.js"]),
        ('<link rel="stylesheet" href="http://b.c/d.css">', ["index.html loads http://b.c/d.css"]),
        (r"<p>so \frac12</p>", [r"index.html shows '\\frac'"]),
        ("<p>so $x^2$</p>", ["index.html shows '$x^2$'"]),
        ('<a href="https://b.c">a link is no request</a>', []),
    ],
)
def test_what_is_wrong_with_a_site_is_named(text: str, told: list[str], tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(text + '<a href="other.html">x</a>')
    (tmp_path / "other.html").write_text('<p id="b"></p>')
    (tmp_path / "some.css").write_text("p { color: red }")
    assert [*crawl.faults(tmp_path)] == told


def test_pages_that_nothing_leads_to_and_styles_of_others_are_named(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>alone</p>")
    (tmp_path / "other.html").write_text("<p>alone</p>")
    (tmp_path / "some.css").write_text("p { background: url(https://b.c/d.png) }")
    assert [*crawl.faults(tmp_path)] == [
        "other.html is reached from no page",
        "some.css loads https://b.c/d.png",
    ]


def test_pages_are_written_where_they_changed(
    pages: ModuleType, site: dict[str, str | Path], tmp_path: Path
) -> None:
    assert "sphinx" not in sys.modules  # it is asked for by `make docs` alone
    pages.write(site, tmp_path)
    (tmp_path / "old.md").write_text("gone")
    first = (tmp_path / "index.md").stat().st_mtime_ns
    pages.write({**site, "CHANGELOG.md": "other"}, tmp_path)
    assert not (tmp_path / "old.md").exists()
    assert (tmp_path / "index.md").stat().st_mtime_ns == first
    assert (tmp_path / "CHANGELOG.md").read_text() == "other"
