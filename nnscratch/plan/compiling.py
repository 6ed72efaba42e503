"""``nnscratch.compile``: run a step once, then replay it."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.nn.module import Module
from nnscratch.plan.compiled import Compiled
from nnscratch.plan.modules import CompiledModule

_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")


def compile(
    function: Callable[..., Any] | None = None,
    *,
    model: Callable[..., Any] | None = None,
    on_unsupported: str | None = None,
    fullgraph: bool = True,
    dynamic: bool | None = None,
    backend: str | None = None,
    mode: str | None = None,
    options: Any = None,
    name: str | None = None,
    disable: bool = False,
    freeze: bool = False,
    recompile_limit: int | None = None,
    isolate_recompiles: bool = False,
    shapes_spec: Any = None,
) -> Any:
    """Return a step that is recorded on its first call and replayed on all later ones.

    The step is ordinary eager code: for training ``zero_grad``, forward, loss, ``backward``,
    clipping, ``optimizer.step()``, ``scheduler.step()``; for inference a forward. Tensors and
    arrays that change from call to call are its arguments, and it does not change them in place.
    The tensors it returns have no graph. A ``grad`` that was kept from an earlier step changes with
    the next replay; keep a ``clone()`` of it.

    Other shapes, dtypes, modes and plain values of the arguments get a plan of their own: the first
    call is recorded, the second planned. While 8 others wait for their second call, a new one runs
    eagerly, and is recorded and planned when it comes again. At most 256 plans are kept, and beyond
    the 4 used last no more than 1 GiB of them; those not used for longest are dropped, and made
    anew when they are wanted. So any number of sequence lengths is replayed in bounded memory.

    A plan is also left for another one when anything changes that the step's code can reach:
    parameters, buffers and attributes of modules, hooks, and behind the names that its functions
    mention other tensors, numbers, attributes of objects, and the entries of lists, dictionaries
    and NumPy arrays (of up to 1,000 entries). If 16 such changes in a row come before their plans
    were of use, the step runs eagerly from then on, with a warning. What the step itself changes of
    these would not be changed by a replay and is refused. An optimizer's and a scheduler's
    hyper-parameters and the counters of random numbers are read at every replay. Not seen are raw
    arrays taken out of tensors (``.array``), an optimizer's ``state``, Python's state inside of
    other libraries, the clock and files: what is read there is a constant of the plan.

    What nothing reads is not computed in a replay, and so not checked: an index out of range, whose
    row is not used, raises eagerly only.

    Of a module it returns a module with the same parameters, whose calls are replayed unless they
    are to be differentiated: under ``no_grad()``, or where no parameter and no argument asks for a
    gradient. Other calls run eagerly and have a graph; a training step is compiled as a whole. In
    place, ``model.compile()`` does the same.

    ``freeze=True`` is for inference. It takes the parameters and buffers of modules for constants,
    so that what follows from them alone is computed when a plan is made and not at each call:
    transformed filters, matrices in the order in which products read them, the factors of batch
    norm, weights that are computed from others. The results are the same bits. It takes about as
    much memory again as these weights, once for the plans of all shapes. (PyTorch has
    ``torch.jit.freeze``, and ``freezing`` of its compiler.) Weights may change between two calls
    all the same: what writes to them through tensors, as ``load_state_dict``, ``copy_``, an
    optimizer or another compiled step, is noticed by the next call, which computes the constants
    anew. What writes to their memory in another way is not: NumPy on ``parameter.numpy()`` or
    ``parameter.array``, or another library that shares it. Behind that, compile again. On a GPU
    nothing is computed ahead.

    Args:
        function: the step, or a module. Without it, ``compile`` returns a decorator.
        model: another name of it.
        on_unsupported: what to do about a step that a replay could not repeat (it reads a value
            out of a tensor, say): "raise" a ``PlanError``, or run it "eager" with one warning.
            None for what ``fullgraph`` says.
        fullgraph: whether all of the step must be replayed; with False one that a replay could not
            repeat runs eagerly, all of it. In PyTorch False is the default.
        dynamic: accepted as in PyTorch; each shape has a plan of its own.
        backend: a name, accepted as in PyTorch, as are ``mode`` and ``options``; there is one
            compiler.
        mode: see ``backend``.
        options: see ``backend``.
        name: what errors and warnings call the step; the name of the function if not given.
        disable: whether to return the function as it is.
        freeze: whether to compute once what follows from parameters and buffers alone. A frozen
            step that calls a module in training mode, or changes a parameter or buffer, is one that
            a replay could not repeat.
        recompile_limit: accepted as in PyTorch; plans are kept in bounded memory as they come.
        isolate_recompiles: accepted as in PyTorch; no two steps share plans.
        shapes_spec: must be None, for each shape has a plan of its own.

    Raises:
        ConfigurationError: if ``on_unsupported`` is neither, ``mode`` is none of PyTorch's, there
            are ``options`` beside it, or another argument must not be as it is.

    >>> import nnscratch
    >>> double = compile(lambda x: x * 2)
    >>> [double(nnscratch.tensor([float(n)])).item() for n in range(3)]
    [0.0, 2.0, 4.0]
    >>> model = nnscratch.nn.Sequential(nnscratch.nn.BatchNorm1d(2)).eval()
    >>> frozen = compile(model, freeze=True)
    >>> with nnscratch.no_grad():
    ...     ones = [frozen(nnscratch.ones(1, 2)).tolist() for _ in range(3)]
    ...     _ = model[0].bias.fill_(5.0)
    ...     ones[-1], frozen(nnscratch.zeros(1, 2)).tolist()
    ([[0.9999949932098389, 0.9999949932098389]], [[5.0, 5.0]])
    """
    if on_unsupported not in (None, "raise", "eager"):
        raise ConfigurationError(
            f"on_unsupported must be 'raise' or 'eager', got {on_unsupported!r}"
        )
    if mode not in (None, *_MODES) and backend in (None, "inductor"):
        raise ConfigurationError(
            f"compile: mode is one of {', '.join(_MODES)}, which change nothing here; got {mode!r}"
        )
    if mode is not None and options is not None:
        raise ConfigurationError("compile: either mode or options can be given, got both")
    if not isinstance(backend, (str, NoneType)):
        raise ConfigurationError(
            "compile: backend is a name, accepted as in PyTorch, for there is one compiler and it "
            f"takes no other; got {backend!r}; leave it out"
        )
    if shapes_spec is not None:
        raise ConfigurationError(
            "compile: shapes_spec must be None, for each shape has a plan of its own; check shapes "
            f"in the step, where assert is allowed; got {shapes_spec!r}"
        )
    strict = fullgraph if on_unsupported is None else on_unsupported == "raise"

    def made(function: Callable[..., Any]) -> Any:
        if disable:
            return function
        if isinstance(function, Module):
            return CompiledModule(function, strict, name, freeze)
        return Compiled(function, strict, name, freeze)

    function = model if function is None else function
    return made if function is None else made(function)
