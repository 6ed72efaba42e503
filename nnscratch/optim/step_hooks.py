"""Functions that an optimizer calls around its steps, and behind the loading of its state."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nnscratch.tensors.tape import Handle


class StepHooks:
    """What an optimizer knows about hooks."""

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; the handle takes it away.

        The optimizer itself is the first of ``args``. A pair that the hook returns replaces both.
        In a compiled step hooks are recorded with it, as everything that the step calls.
        """
        return _registered(hook, self._hooks_around("step")[0])

    def register_step_post_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(optimizer, args, kwargs)`` after each step.

        >>> from nnscratch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
        >>> handle = optimizer.register_step_post_hook(lambda *_: print("a step"))
        >>> optimizer.step()
        a step
        """
        return _registered(hook, self._hooks_around("step")[1])

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> Handle:
        """Call ``hook(optimizer)`` after each ``load_state_dict``.

        ``prepend`` calls it before the hooks that are there already.
        """

        def call(optimizer: Any, args: Any, kwargs: Any) -> None:
            hook(optimizer)

        return _registered(call, self._hooks_around("load_state_dict")[1], prepend)

    def _hooks_around(self, name: str) -> tuple[list[Any], list[Any]]:
        """Return the hooks before and after a method of this optimizer, which calls them now."""
        own = vars(self).get(name)
        if not isinstance(own, partial) or own.func is not _with_hooks:
            own = partial(_with_hooks, getattr(self, name), self, [], [])
            setattr(self, name, own)
        return own.args[2], own.args[3]


def _registered(hook: Callable[..., Any], hooks: list[Any], prepend: bool = False) -> Handle:
    hooks.insert(0 if prepend else len(hooks), hook)
    return Handle(hooks, hook)


def _with_hooks(
    run: Callable[..., Any],
    optimizer: StepHooks,
    before: list[Any],
    after: list[Any],
    *args: Any,
    **kwargs: Any,
) -> Any:
    args = (optimizer, *args)
    for hook in list(before):
        changed = hook(optimizer, args, kwargs)
        if changed is not None:
            if not isinstance(changed, tuple) or len(changed) != 2:
                raise TypeError(
                    "a hook before a step returns None or a pair of its arguments and keyword "
                    f"arguments, got {type(changed).__name__}"
                )
            args, kwargs = changed
    output = run(*args[1:], **kwargs)
    for hook in list(after):
        hook(optimizer, args, kwargs)
    return output
