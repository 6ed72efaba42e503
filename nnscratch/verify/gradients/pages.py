"""A gradient check's report as HTML: one page, nothing loaded from elsewhere."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from html import escape
from typing import Protocol

from nnscratch.verify.gradients.elements import HEADLINES, Element, TensorReport, Verdict
from nnscratch.verify.gradients.problem import Finding

COLOURS = {Verdict.RIGHT: "#1a7f37", Verdict.WRONG: "#cf222e", Verdict.CANNOT_TELL: "#9a6700"}
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 }
td, th { padding: .15rem .7rem; text-align: right }
th { border-bottom: 1px solid #999 } h2 { margin-top: 2rem; font-size: 1.1rem }
.fault { background: #ffebe9; padding: .4rem .7rem } img { max-width: 100% }
"""


class Reported(Protocol):
    """What a page needs of a report."""

    target: str
    verdict: Verdict
    tensors: list[TensorReport]
    findings: list[Finding]
    evaluations: int
    seconds: float


def page(report: Reported, pictures: bool = True) -> str:
    """Return a whole HTML page."""
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f"<title>{escape(report.target)}: {report.verdict}</title><style>{STYLE}</style></head>\n"
        f"<body>\n{body(report, pictures)}\n</body>\n</html>\n"
    )


def pages(reports: Sequence[Reported]) -> str:
    """Return one HTML page with several reports, what is not right first."""
    ordered = sorted(reports, key=lambda report: report.verdict is Verdict.RIGHT)
    bodies = "\n".join(body(report) for report in ordered)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f"<title>gradients</title><style>{STYLE}</style></head>\n<body>\n{bodies}\n</body>\n</html>\n"
    )


def body(report: Reported, pictures: bool = True) -> str:
    """Return what stands in the body of the page."""
    colour = COLOURS[report.verdict]
    parts = [
        f'<h1>{escape(report.target)}: <span style="color:{colour}">'
        f"{HEADLINES[report.verdict]}</span></h1>"
    ]
    if report.findings:
        rows = "".join(f"<li><b>{f.severity}</b>: {escape(f.text)}</li>" for f in report.findings)
        parts.append(f"<ul>{rows}</ul>")
    drawable = pictures and importlib.util.find_spec("matplotlib") is not None
    parts += [_tensor(tensor, drawable) for tensor in report.tensors]
    parts.append(f"<p>{report.evaluations} evaluations, {report.seconds:.2f} s</p>")
    return "\n".join(parts)


def _tensor(tensor: TensorReport, pictures: bool) -> str:
    colour = COLOURS[tensor.verdict]
    parts = [f'<h2 style="color:{colour}">{escape(tensor.summary())}</h2>']
    if tensor.fault:
        parts.append(f'<p class="fault">Likely fault: {escape(tensor.fault)}.</p>')
    if tensor.block:
        parts.append(f"<p>Found by bisection in flat positions {tensor.block[0]} to "
                     f"{tensor.block[1]}.</p>")  # fmt: skip
    if tensor.elements:
        parts.append(_table("worst elements", tensor.elements[:8]))
    if tensor.kinks:
        parts.append(_table("at kinks, where there is no derivative", tensor.kinks[:8]))
    if pictures and tensor.elements and tensor.verdict is not Verdict.RIGHT:
        from nnscratch.verify.gradients.pictures import as_png, figure

        parts.append(f'<img alt="the error over the tensor" src="{as_png(figure(tensor))}">')
    return "\n".join(parts)


def _table(title: str, elements: list[Element]) -> str:
    head = "<tr><th>index<th>input<th>analytic<th>numeric<th>relative error<th>may differ<th></tr>"
    rows = "".join(
        f"<tr><td>{escape(str(list(e.index)))}<td>{e.value:.6g}<td>{e.analytic:.8g}"
        f"<td>{e.numeric:.8g}<td>{e.relative:.1e}<td>{e.allowance:.1e}<td>{e.verdict}</tr>"
        for e in elements
    )
    return f"<table><caption>{escape(title)}</caption>{head}{rows}</table>"
