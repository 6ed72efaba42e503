"""Copies of a model and of its optimizer, with which steps are taken."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nnscratch import optim
from nnscratch.errors import ConfigurationError


def copy_of_model(model: Any) -> Any:
    """Return a copy of a model, with the hooks of its parameters, which a copy leaves out."""
    made = copy.deepcopy(model)
    for own, other in zip(model.parameters(), made.parameters(), strict=True):
        if hasattr(own, "hooks"):
            other.hooks = list(own.hooks or ()) or None
            continue
        for hook in (own._backward_hooks or {}).values():
            other.register_hook(hook)
        for hook in (getattr(own, "_post_accumulate_grad_hooks", None) or {}).values():
            other.register_post_accumulate_grad_hook(hook)
    return made


def copy_of_optimizer(optimizer: Any, original: Any, model: Any) -> Any:
    """Return an optimizer like another one, of the parameters of a copy of its model.

    Raises:
        ConfigurationError: if it has other parameters, or cannot be copied.
    """
    pairs = list(zip(original.parameters(), model.parameters(), strict=True))
    of = {id(a): b for a, b in pairs}
    groups = []
    for group in optimizer.param_groups:
        if any(id(p) not in of for p in group["params"]):
            raise ConfigurationError("the optimizer has parameters that are not the model's")
        groups.append({**group, "params": [of[id(p)] for p in group["params"]]})
    kind = type(optimizer)
    try:
        if isinstance(optimizer, optim.Optimizer):
            made = kind(groups)
        else:
            # All attributes, which a class of one's own may have more of; but not ``step``, which a
            # scheduler puts there to count the steps of the optimizer itself.
            made = object.__new__(kind)
            kept = {key: value for key, value in vars(optimizer).items() if key != "step"}
            made.__dict__.update(copy.deepcopy(kept, dict(of)))
        made.load_state_dict(optimizer.state_dict())  # which takes on the dtypes of the parameters
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise ConfigurationError(
            f"the optimizer {kind.__name__} cannot be copied: {error}"
        ) from None
    return made


@contextmanager
def scalars_of_64_bits(wanted: bool) -> Iterator[None]:
    """Let PyTorch's optimizers have their own numbers in float64, such as NAdam's product of μ.

    They have the default dtype, and would be rounded to float32 beside parameters of float64.
    """
    torch = sys.modules.get("torch") if wanted else None
    if torch is None:
        yield
        return
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
