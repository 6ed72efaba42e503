"""Whoever writes down what an equation page prints has every point."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from verify.answers import ANSWERS

from nnscratch.formulas import FORMULAS
from nnscratch.inspect.locate import gradients_of
from nnscratch.verify import homework

PAGES = Path(__file__).parents[2] / "docs" / "equations"
PRINTED = [(name, key) for name, answers in ANSWERS.items() for key in answers]


def printed(name: str) -> list[str]:
    """The equations below "Backward" in a formula's section of its page."""
    page = (PAGES / f"{FORMULAS[name].family}.md").read_text(encoding="utf-8")
    section = page.split(f"\n## `{name}`\n")[1].split("\n## ")[0]
    return re.findall(r"\$\$\n(.*?)\n\$\$", section.split("Backward:")[1], flags=re.DOTALL)


def test_there_is_an_answer_for_every_derivative() -> None:
    own = [made for made in FORMULAS.values() if made.forward.__module__.startswith("nnscratch.")]
    wanted = {(made.name, key) for made in own for key in made.gradients}
    assert wanted == set(PRINTED)
    assert len(wanted) > 200


@pytest.mark.parametrize(("name", "key"), PRINTED)
def test_the_literal_answer_has_every_point(name: str, key: str) -> None:
    equation, answer = ANSWERS[name][key]
    whole = gradients_of(FORMULAS[name])[key]
    assert whole.endswith(equation), "the formula has another equation than the answer's"
    assert whole in printed(name)
    alone = len(ANSWERS[name]) == 1
    work = homework(name, answer, of=() if alone else key)
    assert work.points == 100, f"{work} {work.report}"


def test_as_a_whole_and_without_of() -> None:
    for name in ("linear", "batch_norm_inference", "gru"):
        answers = [answer for _, answer in ANSWERS[name].values()]
        if name == "gru":
            work = homework(name, answers[0].__wrapped__)  # type: ignore[attr-defined]
        elif name == "linear":
            work = homework(name, lambda dZ, X, W: (dZ @ W, dZ.T @ X, dZ.sum(0)))
        else:
            work = homework(
                name,
                lambda dY, X, M, V, W, eps, parts=answers: (
                    parts[0](dY, V, W, eps), parts[1](dY, X, M, V, eps), parts[2](dY),
                ),
            )  # fmt: skip
        assert work.points == 100, work
