"""A PyTorch module as the trainer of a site.

The names of the tensors are those of ``state_dict()``, their bits go there and
back unchanged. Integer buffers, such as the ``num_batches_tracked`` of a batch
norm, have the rule keep: they are in the model and never averaged; so have
buffers and frozen parameters of 16 bits, and buffers that hold an infinity, such
as a causal mask. Parameters of 16 bits that are to be trained are refused.
Buffers of a type that does not travel (bool, int32 ...) and extra state stay at
the site.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Union

import numpy as np
import torch

from . import _run
from ._answers import Refused, kind
from ._job import Job
from ._safetensors import BF16, Array

_TYPES = {torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64}


def run(model: Union[torch.nn.Module, Callable[[], torch.nn.Module]], *, samples: Union[int, Callable[[], int]],
        train: Callable[[torch.nn.Module, Job], Any],
        evaluate: Optional[Callable[[torch.nn.Module, Job], Optional[Mapping[str, Any]]]] = None,
        rules: Optional[Mapping[str, str]] = None, settings: Optional[Sequence[str]] = None,
        features: Optional[Sequence[Any]] = None, classes: Optional[Sequence[Any]] = None, target: str = "y",
        capabilities: Optional[Sequence[str]] = None) -> None:
    """Train for a site until the agent ends.

    ``model`` is the module, or better a function that makes one: then a first
    model is drawn from the federation's seed. ``train(module, job)`` trains it
    where it is, or returns another module of the same tensors, or the
    ``state_dict()`` of one; it is in training mode and holds the global weights. ``settings`` names those that the script reads.
    ``evaluate(module, job)`` returns sums (:func:`fedmq_trainer.classification`);
    the module is in evaluation mode, without gradients. ``features``, ``classes`` and
    ``target`` name what it reads and tells: a site with others is refused (:func:`fedmq_trainer.run`).
    A script that calls :func:`steer` has the ``capabilities`` mu, correction and steps, with torch.optim.SGD sgd and momentum.
    """
    module = model if isinstance(model, torch.nn.Module) else model()
    if not isinstance(module, torch.nn.Module):
        raise Refused(f"model made {type(module).__name__}, want a torch.nn.Module or a function that makes one")
    for name, t in module.state_dict().items():
        if not _travels(t):
            print(f"fedmq_trainer: {name} ({getattr(t, 'dtype', type(t).__name__)}) does not travel and stays at the site", file=sys.stderr)
    all_rules = _rules(module, rules or {})

    def fit(weights: Dict[str, Array], job: Job) -> Dict[str, Array]:
        torch.manual_seed(job.seed_int)
        put(module, weights)
        module.train()
        return _trained_state(module, train(module, job), weights)

    def measure(weights: Dict[str, Array], job: Job) -> Optional[Mapping[str, Any]]:
        assert evaluate is not None
        torch.manual_seed(job.seed_int)
        put(module, weights)
        module.eval()
        with torch.no_grad():
            return evaluate(module, job)

    def first(job: Job) -> Dict[str, Array]:
        torch.manual_seed(job.seed_int)
        return get(module if isinstance(model, torch.nn.Module) else model())

    _run.run(samples=samples, train=fit, evaluate=measure if evaluate else None, init=first, rules=all_rules, settings=settings,
             features=features, classes=classes, target=target, capabilities=capabilities,
             check=lambda: _trainable(module, all_rules), name=f"PyTorch {torch.__version__}")


def steer(optimizer: torch.optim.Optimizer, module: torch.nn.Module, job: Job) -> None:
    """Have each step of the optimizer take what the strategy adds to the gradients, and
    count it. It is called once, before the first step; afterwards ``optimizer.step()`` is
    as ever. An optimizer that the strategy cannot use is refused by name."""
    about = job._steering
    _usable(optimizer, about.needs)
    named = [(name, p, p.detach().clone() if about.mu else None) for name, p in module.named_parameters() if p.requires_grad]
    add = {name: _tensor(a) for name, a in about.correction.items()}
    plain = optimizer.step

    def step(*args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            raise Refused("optimizer.step is called with a closure: a strategy that adds to the gradients wants backward() before, and step() alone")
        with torch.no_grad():
            for name, p, before in named:
                if p.grad is None:
                    continue
                if before is not None:
                    p.grad.add_(p - before, alpha=about.mu)
                if name in add:
                    p.grad.add_(add[name].to(p.grad))
        group = optimizer.param_groups[0]
        about.stepped(group["lr"])
        about.told.setdefault("momentum", float(group.get("momentum", 0)))
        return plain()

    optimizer.step = step  # type: ignore[method-assign]


def _usable(optimizer: torch.optim.Optimizer, needs: Sequence[str]) -> None:
    """Refuse an optimizer whose steps are not those that the strategy counts on."""
    if not {"sgd", "momentum"} & set(needs):
        return
    what = "plain SGD" if "sgd" in needs else "SGD with or without momentum"
    if type(optimizer) is not torch.optim.SGD:
        raise Refused(f"the strategy needs {what}, not {type(optimizer).__name__}: torch.optim.SGD")
    for g in optimizer.param_groups:
        odd = [k for k in ("nesterov", "dampening", "maximize") if g.get(k)] + (["momentum"] if "sgd" in needs and g["momentum"] else [])
        if odd:
            raise Refused(f"the strategy needs {what}: leave {odd[0]} out of torch.optim.SGD")
        if (g["lr"], g["momentum"]) != (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]):
            raise Refused("the strategy needs one rate and one momentum for all parameters: torch.optim.SGD with one group")


def _trained_state(module: torch.nn.Module, returned: Any, before: Mapping[str, Array]) -> Dict[str, Array]:
    """The weights that a training function means: of the module or the state that
    it has returned, else of the module that it was given."""
    if isinstance(returned, torch.nn.Module):
        return get(returned)
    if isinstance(returned, Mapping) and any(isinstance(v, torch.Tensor) for v in returned.values()):
        return {name: _array(t) for name, t in returned.items() if _travels(t)}
    after = get(module)
    if before and all(after[name].tobytes() == a.tobytes() for name, a in before.items()):
        what = "nothing" if returned is None else kind(returned)
        raise Refused(f"train returned {what} and left the module's weights as they were: train the module that it is given, or return the trained one")
    return after


def _rules(module: torch.nn.Module, given: Mapping[str, str]) -> Dict[str, str]:
    """The rules given, and keep for what is no parameter in training and cannot
    be averaged. What is kept, integers aside, is said."""
    out = dict(given)
    trained = _trained(module)
    for name, t in module.state_dict().items():
        if name in out or name in trained or not _travels(t) or not t.is_floating_point():
            continue
        if t.dtype not in (torch.float32, torch.float64) or not bool(torch.isfinite(t).all()):
            out[name] = "keep"
    kept = [f"{name} ({t.dtype})" for name, t in module.state_dict().items() if out.get(name) == "keep" and t.is_floating_point()]
    if kept:
        print(f"fedmq_trainer: kept as they are, never averaged: {', '.join(kept)}", file=sys.stderr)
    return out


def _trained(module: torch.nn.Module) -> Dict[str, torch.dtype]:
    """The parameters that training changes, shared ones by each of their names."""
    return {name: t.dtype for name, t in module.state_dict(keep_vars=True).items() if isinstance(t, torch.Tensor) and t.requires_grad}


def _trainable(module: torch.nn.Module, rules: Mapping[str, str]) -> None:
    """Refuse parameters that would be trained here and averaged nowhere."""
    odd = [(name, dtype) for name, dtype in _trained(module).items()
           if dtype not in (torch.float32, torch.float64) and rules.get(name) != "keep"]
    if odd:
        name, dtype = odd[0]
        more = f" (and {len(odd) - 1} more parameters)" if odd[1:] else ""
        raise Refused(f"{name}{more} is {dtype}, and what is averaged is float32 or float64: call .float() on the module and train under"
                      f" torch.autocast, or leave it as it is, never averaged, with rules={{{name!r}: 'keep'}}")


def get(module: torch.nn.Module) -> Dict[str, Array]:
    """The module's state as arrays by name."""
    return {name: _array(t) for name, t in module.state_dict().items() if _travels(t)}


def put(module: torch.nn.Module, weights: Mapping[str, Array]) -> None:
    """Put arrays into the module, bit for bit. Every tensor that travels must
    be there, and no other."""
    state = module.state_dict()
    want = {name for name, t in state.items() if _travels(t)}
    if want != set(weights):
        odd = sorted(want ^ set(weights))
        raise ValueError(f"the global model and this module differ in {', '.join(odd[:3])}; a new model is a new task")
    with torch.no_grad():
        for name, a in weights.items():
            if tuple(state[name].shape) != a.shape:
                raise ValueError(f"tensor {name} is {list(a.shape)} in the global model, {list(state[name].shape)} in this module")
            state[name].copy_(_tensor(a))


def predictor(module: torch.nn.Module, weights: Mapping[str, Array]) -> Callable[[Array], Array]:
    """The module with these weights as a function of arrays, in evaluation mode."""
    put(module, weights)
    module.eval()
    kind = next((t.dtype for t in module.parameters() if t.is_floating_point()), torch.float32)

    def predict(x: Array) -> Array:
        with torch.no_grad():
            out = module(torch.from_numpy(np.ascontiguousarray(x)).to(kind))
        return np.asarray(out.detach().cpu().double().numpy())

    return predict


def _travels(t: Any) -> bool:
    """Whether an entry of a state is sent; what get_extra_state gives need be no tensor."""
    return isinstance(t, torch.Tensor) and t.dtype in _TYPES


def _array(t: "torch.Tensor") -> Array:
    t = t.detach().cpu().contiguous()
    if t.dtype == torch.bfloat16:
        return np.array(t.view(torch.int16).numpy()).view(BF16)
    return np.array(t.numpy())


def _tensor(a: Array) -> Any:
    if a.dtype == BF16:
        return torch.from_numpy(a.view("<i2").copy()).view(torch.bfloat16)
    return torch.from_numpy(a.astype(a.dtype.newbyteorder("="), copy=False))
