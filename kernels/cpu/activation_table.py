"""The one table of activations: what each is, what its derivative is written in. Needs no Numba.

A kernel takes an activation's code as a compile-time constant, so one source serves all of them
and each compiled kernel holds only its own.
"""

from __future__ import annotations

from typing import NamedTuple


class Activation(NamedTuple):
    """One activation.

    Args:
        name: its name, as in the formulas.
        code: its number, a compile-time option of the kernels.
        saves: what the backward reads, "X" for the input of the activation or "Y" for its output.
        parameters: names and defaults of up to two scalars, in the order of the kernels' ``s``.
        nanoseconds: a rough cost of one element in float32 on one thread, for the planner.
    """

    name: str
    code: int
    saves: str
    parameters: tuple[tuple[str, float], ...] = ()
    nanoseconds: float = 0.1


ACTIVATIONS: tuple[Activation, ...] = (
    Activation("identity", 0, "Y"),
    Activation("relu", 1, "Y"),
    Activation("leaky_relu", 2, "X", (("negative_slope", 0.01),)),
    Activation("elu", 3, "X", (("alpha", 1.0),), 0.4),
    Activation("selu", 4, "X", (), 0.4),
    Activation("gelu", 5, "X", (), 0.6),
    Activation("gelu_tanh", 6, "X", (), 0.5),
    Activation("silu", 7, "X", (), 0.4),
    Activation("sigmoid", 8, "Y", (), 0.4),
    Activation("tanh", 9, "Y", (), 0.4),
    Activation("softplus", 10, "X", (("beta", 1.0), ("threshold", 20.0)), 0.6),
    Activation("softsign", 11, "X", (), 0.2),
    Activation("hardtanh", 12, "X", (("min_val", -1.0), ("max_val", 1.0))),
)

BY_NAME = {activation.name: activation for activation in ACTIVATIONS}
