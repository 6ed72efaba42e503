"""The site: what Sphinx is told. `make docs` lays the pages out (docs/pages.py) and calls it."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

import nnscratch
from nnscratch import errors
from nnscratch.inspect.alignment import html_equation, html_inline
from nnscratch.inspect.mathml import unread

project = "nnscratch"
author = "nnscratch contributors"
copyright = "nnscratch contributors"
release = version = nnscratch.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "nnscratch"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
napoleon_numpy_docstring = False
napoleon_use_rtype = False  # what stands before a colon in Returns is no type
# Notebooks are shown with what is stored in them; the test suite runs them.
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints = "none"
# Each entry would be copied into the table of contents of each page.
toc_object_entries = False
# In a docstring: a literal, an example, an equation, or a character that Sphinx would interpret.
STANDS = re.compile(
    r"``.+?``|^ *>>>.*?(?:^\s*$|\Z)|^(?P<margin> *)\$\$(?P<shown>.+?)\$\$|\$(?P<inline>[^$`]+)\$"
    r"|[|*]|_(?!\w)",
    re.MULTILINE | re.DOTALL,
)
log = logging.getLogger(__name__)


def in_line(writer: Any, node: nodes.math) -> None:
    """Write an equation within a line, as browsers draw it: without a script, font or request."""
    writer.body.append(html_inline(latex_of(node)))
    raise nodes.SkipNode


def by_itself(writer: Any, node: nodes.math_block) -> None:
    """Write an equation, each of its parts in aligned lines that fit the page."""
    writer.body.append(html_equation(latex_of(node)))
    raise nodes.SkipNode


def latex_of(node: nodes.Element) -> str:
    """Return an equation's LaTeX, of which every command has to be known."""
    latex = node.astext()
    if unread(latex):
        log.warning("nnscratch.inspect.mathml does not read %s", unread(latex), location=node)
    return latex


def as_sphinx_has_it(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    r"""Mark the equations of a docstring, and escape what means something to Sphinx alone.

    Literals and examples stay as they are; ``|x|`` is a size, ``*`` a product, ``X_`` a name.
    """
    text = "\n".join(lines)
    if what in ("property", "attribute") and text:
        text = f": {text}"  # napoleon reads a type before the first colon: here there is none
    lines[:] = STANDS.sub(marked, text).split("\n")


def marked(found: re.Match[str]) -> str:
    """Return an equation as Sphinx marks it, a literal as it is, a character without meaning."""
    text, margin = found[0], found["margin"]
    if found["shown"]:
        return f"\n{margin}.. math:: {' '.join(found['shown'].split())}\n\n"
    if found["inline"]:
        return f":math:`{' '.join(found['inline'].split())}`"
    return text if len(text) > 1 else f"\\{text}"


def known(app: Sphinx, env: Any, node: nodes.Element, text: nodes.Element) -> Any:
    """Lead from an error's name, which docstrings have without its module, to its page.

    Any other name that exists, but has no page here, stays text; one that does not is an error.
    """
    module, _, name = node.get("reftarget", "").rpartition(".")
    if node.get("reftype") == "exc" and hasattr(errors, name):
        return env.domains["py"].resolve_xref(
            env, node["refdoc"], app.builder, "exc", f"nnscratch.errors.{name}", node, text
        )
    places = [module] if module else ["builtins", "nnscratch.verify.watch.anomaly"]
    found = (one for one in places if importlib.util.find_spec(one))
    return text if any(hasattr(importlib.import_module(one), name) for one in found) else None


def left_out(
    app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out methods that scikit-learn adds to its estimators."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Sphinx) -> None:
    """Tell Sphinx what is ours."""
    app.add_html_math_renderer("mathml", (in_line, None), (by_itself, None))
    app.connect("autodoc-process-docstring", as_sphinx_has_it, priority=400)
    app.connect("autodoc-skip-member", left_out)
    app.connect("missing-reference", known)
