"""What a shell offers when Tab is pressed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from click.shell_completion import CompletionItem

from nnscratch.errors import ConfigurationError

VARIABLE = "_NNSCRATCH_COMPLETE"
"""By which a shell asks what can follow."""
SHELLS = ("bash", "zsh", "fish")
_MOST = 200
_HOW = {
    "bash": "echo 'eval \"$(nnscratch completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'eval \"$(nnscratch completion zsh)\"' >> ~/.zshrc",
    "fish": "nnscratch completion fish > ~/.config/fish/completions/nnscratch.fish",
}
_BASH = (
    ("for completion in $response; do", "while IFS= read -r completion; do"),
    ("IFS=',' read type", "IFS=',' read -r type"),
    ("COMPREPLY+=($value)", """COMPREPLY+=("$(printf '%q' "$value")")"""),
    ("    done\n", '    done <<< "$response"\n'),
)
"""What Click's script lacks: names of folders may have spaces, stars and dollars in them."""

Completer = Callable[[Any, Any, str], list[CompletionItem]]


def files(context: Any, parameter: Any, incomplete: str) -> list[CompletionItem]:
    """Offer files and folders, which the shell itself looks for."""
    return [CompletionItem(incomplete, type="file")]


def run_folders(context: Any, parameter: Any, incomplete: str) -> list[CompletionItem]:
    """Offer run folders: those in ``runs``, or in the folder that is typed; else files."""
    typed = Path(incomplete)
    above = typed if incomplete.endswith("/") else typed.parent
    found = []
    for place in dict.fromkeys((above, *((Path("runs"),) if not incomplete else ()))):
        try:
            inside = sorted(one for one in place.iterdir() if (one / "config.json").is_file())
        except OSError:
            continue
        # A shell reads a line for each: a name in several lines would be several names.
        names = [str(one) for one in inside if str(one).isprintable()]
        found += [name for name in names if name.startswith(incomplete)]
    return [CompletionItem(one) for one in found[:_MOST]] or files(context, parameter, incomplete)


def one_of(choices: Iterable[str]) -> Completer:
    """Return what offers those of some words that begin as what is typed.

    >>> [item.value for item in one_of(["adam", "sgd"])(None, None, "a")]
    ['adam']
    """
    known = list(choices)

    def offer(context: Any, parameter: Any, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(one) for one in known if one.startswith(incomplete)]

    return offer


def print_script(app: Any, shell: str) -> None:
    """Print what a shell has to run so that Tab completes ``nnscratch``.

    Raises:
        ConfigurationError: if there is none for that shell.
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell) if shell in SHELLS else None
    if kind is None:
        raise ConfigurationError(
            f"there is no completion for the shell {shell!r}; choose from {', '.join(SHELLS)}"
        )
    source = kind.source_template % kind(app, {}, "nnscratch", VARIABLE).source_vars()
    if shell == "bash":
        for part, better in _BASH:
            source = source.replace(part, better, 1)
    print(f"# To have it in every shell: {_HOW[shell]}\n{source}")


def complete(app: Any, instruction: str) -> int:
    """Answer a shell that asks what can follow; return the exit code."""
    from click.shell_completion import shell_complete

    os.environ.setdefault("COMP_WORDS", "nnscratch")
    os.environ.setdefault("COMP_CWORD", "1")
    return shell_complete(app, {}, "nnscratch", VARIABLE, instruction)
