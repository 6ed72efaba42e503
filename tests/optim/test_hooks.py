"""Hooks of optimizers and of leaves, as PyTorch calls them; in compiled steps too."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

import nnscratch
from nnscratch.errors import GradientError, PlanError

LIBRARIES = [nnscratch, torch]


def both(see: Any) -> Any:
    mine, its = map(see, LIBRARIES)
    assert mine == its
    return mine


def leaf(library: Any) -> Any:
    return library.tensor([1.0, 2.0], requires_grad=True)


@pytest.mark.parametrize("name", ["SGD", "Adam", "Adafactor"])
def test_hooks_around_a_step(name: str) -> None:
    def see(library: Any) -> Any:
        log: list[Any] = []
        p = leaf(library)
        optimizer = getattr(library.optim, name)([p], lr=0.5)

        def first(o: Any, args: Any, kwargs: Any) -> Any:
            log.append(("first", o is optimizer, args[0] is o, len(args), list(kwargs)))
            p.grad.mul_(2.0)
            return args[:1], {"closure": args[1]} if len(args) > 1 else kwargs

        def second(o: Any, args: Any, kwargs: Any) -> None:
            log.append(("second", len(args), list(kwargs), p.grad.tolist()))

        def after(o: Any, args: Any, kwargs: Any) -> None:
            moved = p.tolist() != [1.0, 2.0]
            log.append(("after", len(args), list(kwargs), moved))

        handles = [
            optimizer.register_step_pre_hook(first),
            optimizer.register_step_pre_hook(second),
        ]
        handles.append(optimizer.register_step_post_hook(after))
        (p * p).sum().backward()
        found = [optimizer.step(), optimizer.step(lambda: 3.0)]
        for handle in handles:
            handle.remove()
        found.append(optimizer.step())
        return log, found

    assert [name for name, *_ in both(see)[0]] == ["first", "second", "after"] * 2


def test_hooks_that_return_something_else_and_copies() -> None:
    optimizer = nnscratch.optim.SGD([leaf(nnscratch)], lr=0.5)
    optimizer.register_step_pre_hook(print)  # which has no state of its own
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert other.step.args[1] is other
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(TypeError, match="returns None or a pair"):
        optimizer.step()


def test_hooks_behind_load_state_dict() -> None:
    def see(library: Any) -> Any:
        log: list[Any] = []
        optimizer = library.optim.SGD([leaf(library)], lr=0.5)
        for prepend in (False, True):
            handle = optimizer.register_load_state_dict_post_hook(
                lambda o, p=prepend: log.append((p, o.param_groups[0]["lr"])), prepend=prepend
            )
        state = optimizer.state_dict()
        state["param_groups"][0]["lr"] = 0.25
        optimizer.load_state_dict(state)
        handle.remove()
        optimizer.load_state_dict(state)
        return log

    assert both(see) == [(True, 0.25), (False, 0.25), (False, 0.25)]


def test_hooks_of_an_optimizer_in_a_compiled_step() -> None:
    def trained(compiled: bool) -> list[Any]:
        p = leaf(nnscratch)
        optimizer = nnscratch.optim.SGD([p], lr=0.01)

        def step(x: Any) -> None:
            optimizer.zero_grad()
            (p * p * x).sum().backward()
            optimizer.step()

        def clamp(o: Any, args: Any, kwargs: Any) -> None:
            with nnscratch.no_grad():
                p.clamp_(max=1.5)

        run = nnscratch.compile(step) if compiled else step
        x, seen = nnscratch.tensor([1.0, 2.0]), []
        handle = None
        for n in range(12):
            run(x)
            seen.append(p.tolist())
            if n == 3:
                handle = optimizer.register_step_post_hook(clamp)
                optimizer.register_step_pre_hook(lambda *_: setattr(p, "grad", p.grad * 3.0))
            if n == 7:
                handle.remove()
                with nnscratch.no_grad():
                    p.fill_(2.0)
        return seen

    for mine, other in zip(trained(True), trained(False), strict=True):
        assert mine == pytest.approx(other, rel=1e-6)


def test_a_hook_that_a_replay_would_not_repeat_is_refused() -> None:
    p, seen = leaf(nnscratch), []
    optimizer = nnscratch.optim.SGD([p], lr=0.01)
    optimizer.register_step_post_hook(lambda *_: seen.append(1))

    @nnscratch.compile
    def step(x: Any) -> None:
        optimizer.zero_grad()
        (p * x).sum().backward()
        optimizer.step()

    step(nnscratch.ones(2))
    with pytest.raises(PlanError, match="a list or dictionary in Python"):
        step(nnscratch.ones(2))


# Hooks of leaves.


@pytest.mark.filterwarnings("ignore:Using backward:UserWarning")
def test_hooks_behind_the_gradient_of_a_leaf() -> None:
    def see(library: Any) -> Any:
        log: list[Any] = []
        p = leaf(library)
        p.register_post_accumulate_grad_hook(lambda q: log.append((q is p, q.grad.tolist())))
        p.register_hook(lambda g: log.append(g.tolist()) or g * 10)
        handle = p.register_post_accumulate_grad_hook(lambda q: log.append(q.grad.requires_grad))
        (p * p + p).sum().backward()
        (p * p).sum().backward(inputs=[p])
        library.autograd.grad((p * p).sum(), p)
        library.autograd.backward([(p * p).sum()], create_graph=True)
        handle.remove()
        p.grad = None
        p.sum().backward()
        return log

    both(see)


def test_a_leaf_that_steps_in_the_backward_pass() -> None:
    def see(library: Any, compiled: bool = False) -> Any:
        p, q = leaf(library), leaf(library)
        optimizers = {one: library.optim.SGD([one], lr=0.125) for one in (p, q)}

        def hook(one: Any) -> None:
            optimizers[one].step()
            optimizers[one].zero_grad()

        def step(x: Any) -> None:
            (p * q * x).sum().backward()

        for one in (p, q):
            one.register_post_accumulate_grad_hook(hook)
        run = library.compile(step) if compiled else step
        for _ in range(5):
            run(library.ones(2))
        assert p.grad is None
        return p.tolist(), q.tolist()

    assert see(nnscratch, True) == both(see)


def test_what_has_no_hook_behind_its_gradient() -> None:
    p = leaf(nnscratch)
    for one in (p * 2, nnscratch.ones(2)):
        with pytest.raises(GradientError, match="a post-accumulate hook needs a leaf"):
            one.register_post_accumulate_grad_hook(print)
    p.register_post_accumulate_grad_hook(lambda q: q.grad)
    with pytest.raises(GradientError, match="returns None, got Tensor"):
        p.sum().backward()
