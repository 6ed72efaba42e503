"""The stubs of what is made of formulas or loads late: type checkers and editors run no programs.

``python -m nnscratch.inspect.stubs`` writes them beside the files that they describe. Nothing is
said in a stub that a formula, or the list of a room's places, does not say.
"""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path
from typing import Any

from nnscratch import data, models, nn, optim, train
from nnscratch.kernels import cpu
from nnscratch.nn import derived_functions, derived_modules, functional
from nnscratch.nn.derived import activations, options_of
from nnscratch.nn.derived_losses import arguments_of, losses, module_options
from nnscratch.nn.finding import exported
from nnscratch.nn.reductions import Loss
from nnscratch.tensors import Tensor, ops
from nnscratch.tensors.ops import calling

_NOTE = "# Written by `python -m nnscratch.inspect.stubs`; change its source, not this file."


def all_stubs() -> dict[Path, str]:
    """Return the text of every stub by its file."""
    functions: dict[str, list[str]] = {}
    modules: dict[str, list[str]] = {}
    for made, public in activations():
        if not made.forward.__module__.startswith("nnscratch."):
            continue
        options = dict(options_of(made))
        if public.inplace:
            options["inplace"] = ("bool", False)
        if public.function not in public.by_hand:
            function = getattr(derived_functions, public.function)
            head = ["input: Any", *_parameters(options)]
            functions[public.function] = _definition(public.function, head, function)
        if public.module and public.module not in public.by_hand:
            modules[public.module] = _class(public.module, options)
    for made, public in losses():
        if not made.forward.__module__.startswith("nnscratch."):
            continue
        if public.function not in public.by_hand:
            function = getattr(derived_functions, public.function)
            head = [f"{one.name}: {one.kind}{_default(one.default)}" for one in arguments_of(made)]
            functions[public.function] = _definition(public.function, head, function)
        if public.module and public.module not in public.by_hand:
            options = {one.name: (one.kind, one.default) for one in module_options(made)}
            modules[public.module] = _class(public.module, options, "Loss")
    tensors = ["from typing import Any", "", "from nnscratch.tensors import Tensor"]
    base = [
        "from typing import Any",
        "",
        "from nnscratch.nn.options import FunctionModule",
        "from nnscratch.nn.reductions import Loss",
    ]
    return {
        _beside(derived_functions): _stub(tensors, functions),
        _beside(derived_modules): _stub(base, modules),
        _beside(nn): _found(nn, derived_modules, classes=True),
        _beside(functional): _found(functional, derived_functions, classes=False),
        _beside(optim): _optimizers(),
        **{_beside(room): _later(room) for room in (data, cpu, models, train)},
        Path(str(ops.__file__)).with_name("methods.pyi"): _tensor_methods(),
    }


def _found(namespace: Any, made: Any, classes: bool) -> str:
    """Return the stub of a namespace whose names stand in files of ``nn`` or are made."""
    where = {name: _file_of(item, name) for name, item in exported(classes).items()}
    where |= dict.fromkeys(made.__all__, made.__name__)
    where |= {name: nn.__name__ for name in namespace.__all__ if name not in where}
    lines = sorted(f"from {where[name]} import {name} as {name}" for name in namespace.__all__)
    names = [f'    "{name}",' for name in namespace.__all__]
    return "\n".join([_NOTE, "", *lines, "", "__all__ = [", *names, "]", ""])


def _file_of(item: Any, name: str) -> str:
    """Return the module that a name of ``nn`` is defined in."""
    module: str = item.__module__
    return module if hasattr(sys.modules[module], name) else nn.__name__


def _optimizers() -> str:
    kinds = sorted(
        (kind.__module__, kind.__name__)
        for kind in (getattr(optim, name) for name in optim.__all__)
        if isinstance(kind, type)
        and kind is not optim.Optimizer
        and kind.__module__.startswith("nnscratch.")
    )
    rooms = ("lr_scheduler", "swa_utils")
    lines = [_NOTE, "", *(f"from nnscratch.optim import {name} as {name}" for name in rooms)]
    lines += [f"from {module} import {name} as {name}" for module, name in kinds]
    lines += ["from nnscratch.optim.optimizer import Optimizer as Optimizer", ""]
    names = [f'    "{name}",' for name in optim.__all__]
    return "\n".join([*lines, "__all__ = [", *names, "]", ""])


def _later(room: Any) -> str:
    """Return the stub of a room whose files load when their names are first used."""
    lines = sorted(
        f"from {room.__name__}.{file} import {name} as {name}" for name, file in room.PLACES.items()
    )
    names = [f'    "{name}",' for name in room.__all__]
    return "\n".join([_NOTE, "", *lines, "", "__all__ = [", *names, "]", ""])


def _tensor_methods() -> str:
    """Return the stub of the methods that ``Tensor`` gets while ``tensors.ops`` is loaded.

    Those that it, or a part that it is put together of, defines itself are described there.
    """
    elsewhere = {name for part in Tensor.__mro__[1:] for name in vars(part)}
    imported: dict[str, str] = {}
    methods: list[str] = []
    for name, method in sorted(vars(Tensor).items()):
        function: Any = method.fget if isinstance(method, property) else method
        where = getattr(inspect.unwrap(function), "__module__", "") if callable(function) else ""
        own = where in ("", Tensor.__module__) or not where.startswith("nnscratch.tensors")
        if own or name in elsewhere:
            continue
        if isinstance(method, property):
            methods += ["    @property", f"    def {name}(self) -> Tensor: ..."]
            continue
        in_place = name.endswith("_") and not name.startswith("__")
        # Those that ``calling`` makes are made of the function without the last letter.
        by_calling = where == calling.__name__
        made_of = vars(Tensor)[function.__name__[:-1]] if by_calling else function
        signature = inspect.signature(made_of)
        imported |= _imported(signature, inspect.unwrap(made_of).__globals__)
        methods += [_method(name, signature, in_place), *_summary(function)]
    lines = sorted(f"from {module} import {name}" for name, module in imported.items())
    head = [_NOTE, "", "from typing import Any", "", *lines, "", "class FunctionMethods:"]
    head.append('    """The methods of ``Tensor`` that are functions of ``tensors.ops``."""')
    return "\n".join([*head, *methods, ""])


def _imported(signature: inspect.Signature, scope: dict[str, Any]) -> dict[str, str]:
    """Return the names of annotations that have to be imported, and the module of each."""
    annotations = [one.annotation for one in signature.parameters.values()]
    found: dict[str, str] = {}
    for text in [*annotations, signature.return_annotation]:
        for node in ast.walk(ast.parse(text if isinstance(text, str) else "")):
            kind = scope.get(node.id) if isinstance(node, ast.Name) else None
            if isinstance(node, ast.Name) and kind is not None and kind is not Any:
                # A name that is no class stands for several; it is where the function is.
                found[node.id] = kind.__module__ if isinstance(kind, type) else scope["__name__"]
    return found


def _method(name: str, signature: inspect.Signature, in_place: bool) -> str:
    """Return the line of a method, which takes NumPy's names beside PyTorch's, and ``out``.

    A method that writes into its tensor takes neither, and of an operator nobody gives them.
    """
    _, *others = signature.parameters.values()
    bare = in_place or name.startswith("__")
    theirs = {} if bare else {"dim": "axis", "keepdim": "keepdims"}
    plain: list[str] = []
    named: list[str] = []
    for one in others:
        last = all(other.default is not other.empty for other in others[others.index(one) + 1 :])
        given = one.default is not one.empty or (one.name in theirs and last)
        star = "*" if one.kind is one.VAR_POSITIONAL else ""
        text = f"{star}{one.name}: {one.annotation}{' = ...' if given and not star else ''}"
        (named if one.kind is one.KEYWORD_ONLY else plain).append(text)
        if one.name in theirs:
            named.append(f"{theirs[one.name]}: {one.annotation} = ...")
    if not bare:
        named.append("out: Any = ...")
    if named and not any(one.startswith("*") for one in plain):
        plain.append("*")
    returns = "Tensor" if in_place else signature.return_annotation
    return f"    def {name}({', '.join(['self', *plain, *named])}) -> {returns}:"


def _summary(function: Any) -> list[str]:
    """Return the first line of a docstring, which functions have as a whole."""
    (first, *_) = (inspect.getdoc(function) or "").split("\n")
    return [f'        r"""{first}"""' if first else "        ..."]


def _stub(imports: list[str], made: dict[str, list[str]]) -> str:
    names = [f'    "{name}",' for name in sorted(made)]
    lines = [_NOTE, "", *imports, "", "__all__ = [", *names, "]"]
    for name in sorted(made):
        lines += ["", *made[name]]
    return "\n".join([*lines, ""])


def write() -> list[str]:
    """Write the stubs that are not as they should be, and name them."""
    changed = []
    for path, text in all_stubs().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(f"wrote {path.name}")
    return changed


def _beside(module: Any) -> Path:
    return Path(module.__file__).with_suffix(".pyi")


def _parameters(options: dict[str, tuple[str, Any]]) -> list[str]:
    return [f"{name}: {kind}{_default(default)}" for name, (kind, default) in options.items()]


def _default(default: Any) -> str:
    return "" if default is inspect.Parameter.empty else f" = {default!r}"


def _definition(name: str, head: list[str], function: Any) -> list[str]:
    return [f"def {name}({', '.join(head)}) -> Tensor:", *_doc(function)]


def _class(
    name: str, options: dict[str, tuple[str, Any]], base: str = "FunctionModule"
) -> list[str]:
    kept = {one: kind for one, (kind, _) in options.items() if one not in Loss.unkept}
    return [
        f"class {name}({base}):",
        *_doc(getattr(derived_modules, name)),
        *[f"    {option}: {kind}" for option, kind in kept.items()],
        f"    def __init__({', '.join(['self', *_parameters(options)])}) -> None: ...",
    ]


def _doc(item: Any) -> list[str]:
    """Return the docstring as a raw one, which equations need."""
    text = (inspect.getdoc(item) or "").rstrip()
    inner = [f"    {line}" if line else "" for line in text.split("\n")]
    return [f'    r"""{inner[0].strip()}', *inner[1:], '    """']


if __name__ == "__main__":
    print(*write() or ["every stub is as it should be"], sep="\n")
    sys.exit(0)
