"""How a CUDA kernel stands in the registry: what it accepts, and how a call becomes launches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from .copies import contiguous, why_not
from .cupy_driver import CupyDriver
from .driver import Driver
from .launch import FLOATS
from .segment import CudaExecutor
from .target import Builder, EagerBuilder, Target

Inputs = tuple[Any, ...]
Options = dict[str, Any]
Needs = tuple[bool, ...]
Lowering = Callable[[Target, Inputs, Options, Needs], tuple[tuple[Any, ...], Any]]
Refusal = Callable[[Inputs, Options], str | None]

CUPY = CupyDriver()


def _always(direction: str, inputs: Inputs) -> bool:
    return True


def _accept_all(inputs: Inputs, options: Options) -> str | None:
    return None


def _first_array(inputs: Inputs) -> Any:
    return next(item for item in inputs if hasattr(item, "dtype"))


@dataclass(frozen=True, eq=False)
class CudaKernel:
    """CUDA kernels as an implementation of one formula.

    A file of this folder that makes one under a name of its own is all that it takes
    (``kernels.finding``).

    Attributes:
        formula: the name of the formula.
        files: the .cu files that it launches kernels of.
        lowerings: for each direction that has kernels, how a call becomes launches. A backward
            gets ``(dY, *saved)`` as its inputs, ``(*dY, *saved)`` where there are several outputs.
        refusals: for each direction, what it cannot take beyond the rules for all kernels.
        pays: whether a single call is quicker than the array library. Most are at every size: one
            launch replaces several.
        strided: whether it takes arrays whose elements lie anyhow. For the others they are copied.
        several: whether the formula has several outputs.
        driver: what compiles and launches; tests put another in its place.
    """

    formula: str
    files: tuple[str, ...]
    lowerings: dict[str, Lowering]
    refusals: dict[str, Refusal] = field(default_factory=dict)
    pays: Callable[[str, Inputs], bool] = _always
    strided: bool = False
    several: bool = False
    driver: Driver = CUPY
    name: str = "cuda"

    @property
    def library(self) -> str:
        """Whose arrays it is for."""
        return self.driver.library

    @property
    def executor(self) -> CudaExecutor:
        """What runs its launches in a plan."""
        return CudaExecutor(self.driver)

    def on(self, driver: Driver) -> CudaKernel:
        """Return the same implementation on another driver."""
        return replace(self, driver=driver)

    def refuses(self, direction: str, inputs: Inputs, options: Options) -> str | None:
        """Return why it cannot take these arrays, or None.

        Kernels are compiled here, so that the registry falls back where one does not compile.
        """
        if direction not in self.lowerings:
            return f"it has no kernel for {direction}"
        dtype, accepts, files = None, self.driver.accepts, self.files
        for item in inputs:
            if not hasattr(item, "dtype"):
                continue
            if not accepts(item):
                return f"the arrays are {type(item).__module__.partition('.')[0]}'s, not CuPy's"
            if item.size == 0:
                return "an array is empty"
            if not item.flags.c_contiguous:
                if direction == "update" and not self.strided:  # what is written to is no copy
                    return f"an array of shape {item.shape} is not contiguous"
                problem = why_not(item)
                if problem is not None:
                    return problem
                files = (*self.files, "copies")
            kind = item.dtype
            if kind in FLOATS:
                if dtype is not None and kind != dtype:
                    return f"{kind} meets {dtype}"
                dtype = kind
            elif kind.kind in "fc":
                return f"{kind} is neither float32 nor float64"
        if dtype is None:
            return "there is no floating-point array"
        refusal = self.refusals.get(direction, _accept_all)(inputs, options)
        if refusal is not None:
            return refusal
        with self.driver.on_device_of(_first_array(inputs)):
            for file in files:
                problem = self.driver.problem(file, FLOATS[dtype])
                if problem is not None:
                    return problem
        return None

    def worthwhile(self, direction: str, inputs: Inputs) -> bool:
        """Say whether a single call pays."""
        return self.pays(direction, inputs)

    def lower(
        self, builder: Builder, direction: str, inputs: Inputs, options: Options, needs: Needs
    ) -> tuple[tuple[Any, ...], Any]:
        """Add the launches of a call; returns its outputs and what it saves."""
        target = Target(builder, self.driver)
        if not self.strided:
            inputs = tuple([contiguous(target, item) for item in inputs])
        return self.lowerings[direction](target, inputs, options, needs)

    def _run(
        self, direction: str, inputs: Inputs, options: Options, needs: Needs, into: Inputs = ()
    ) -> Any:
        with self.driver.on_device_of(_first_array(inputs)):
            eager = EagerBuilder(self.driver, into)
            made = self.lower(eager, direction, inputs, options, needs)
            eager.finish()
        return made

    def forward(self, *inputs: Any, **options: Any) -> tuple[Any, Any]:
        """Compute the formula's forward."""
        outputs, saved = self._run("forward", inputs, options, ())
        return outputs if self.several else outputs[0], saved

    def backward(self, dY: Any, saved: Any, needs: Needs) -> tuple[Any, ...]:
        """Compute the formula's backward."""
        return self.backward_into((), dY, saved, needs)

    def backward_into(self, into: Inputs, dY: Any, saved: Any, needs: Needs) -> tuple[Any, ...]:
        """Compute the formula's backward, gradients that fit into the arrays given for them."""
        given = (*dY, *saved) if self.several else (dY, *saved)
        gradients: tuple[Any, ...] = self._run("backward", given, {}, needs, into)[0]
        return gradients

    def update(self, *inputs: Any, **options: Any) -> None:
        """Write the new values into the inputs that the formula updates."""
        self._run("update", inputs, options, ())
