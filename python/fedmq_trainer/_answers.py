"""What a script's functions return, made fit to be sent or refused by name."""

from __future__ import annotations

import os
import traceback
from typing import Any, Dict, Mapping, Optional

import numpy as np

from . import _safetensors
from ._safetensors import Array

#: What the aggregator makes of sums, and the sum to send for it.
_MEANS = {
    "accuracy": "correct", "acc": "correct", "rmse": "se", "mse": "se", "mae": "ae", "bias": "e", "r2": "se, y_mean and y_m2",
    **dict.fromkeys(("macro_f1", "f1", "balanced_accuracy", "precision", "recall"), "confusion"),
    **dict.fromkeys(("roc_auc", "auc", "average_precision", "ap"), "scores"),
}
_MOST = 256  # numbers of one update

_HERE = os.path.dirname(os.path.abspath(__file__))


class Refused(ValueError):
    """Something that a function of the script has returned. The message says all."""


def arrays(what: str, value: Any) -> Mapping[str, Array]:
    """A mapping of names to arrays."""
    if not isinstance(value, Mapping):
        raise Refused(f"{what} returned {kind(value)}: want arrays by the names of their tensors, such as {{\"coef\": array}}")
    for name in value:
        if not isinstance(name, str):
            raise Refused(f"{what} returned a mapping with the key {name!r}: want names of tensors")
    return value


def first(tensors: Mapping[str, Array], rules: Mapping[str, str]) -> Dict[str, str]:
    """The rules of a first model: integers are kept. What cannot be averaged and
    has no rule is refused, since it would never be trained."""
    out = {name: "keep" for name, a in tensors.items() if np.asarray(a).dtype.kind == "i"}
    out.update(rules)
    for name, value in tensors.items():
        a = np.asarray(value)
        if out.get(name, "mean") != "mean" or not _safetensors.carries(a.dtype):
            continue  # a type that does not travel is refused when it is written
        cure = f"or leave it as it is, never averaged, with rules={{{name!r}: 'keep'}}"
        if a.dtype.kind != "f" or a.itemsize < 4:
            raise Refused(f"{name} is {_safetensors.type_name(a.dtype)}, and what is averaged is float32 or float64: make it one of these, {cure}")
        if not np.isfinite(a).all():
            at = np.argwhere(~np.isfinite(a))[0].tolist()
            raise Refused(f"{name} holds {a[tuple(at)]} at {at}, and a mean of that is no number: begin with finite values, {cure}")
    return out


class Given:
    """The global model in one request for training, and what comes back of it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.tensors = _safetensors.load(path).tensors
        self.types = {name: (a.dtype, a.shape) for name, a in self.tensors.items()}

    def trained(self, value: Any) -> Dict[str, Array]:
        """The tensors that ``train`` has returned, with the types of the global
        model. Nothing stands for what it was given, if it has changed that."""
        if value is None:
            value = self.tensors
            if self.unchanged():
                raise Refused("train returned nothing and left the weights as they were: return the trained ones, by name")
        return {name: self.like(name, np.asarray(a)) for name, a in arrays("train", value).items()}

    def unchanged(self) -> bool:
        before = _safetensors.load(self.path).tensors
        return before.keys() == self.tensors.keys() and all(
            np.asarray(self.tensors[name]).tobytes() == a.tobytes() for name, a in before.items())

    def like(self, name: str, a: Array) -> Array:
        if name not in self.types:
            raise Refused(f"train returned the tensor {name!r}, which is none of the global model's: {', '.join(sorted(self.types)[:5])}")
        dtype, shape = self.types[name]
        if a.shape != shape:
            raise Refused(f"train returned {name!r} as {list(a.shape)}, want {list(shape)}")
        if a.dtype == dtype:
            return a
        if a.dtype.kind not in "fiub" or dtype.kind not in "fiu" or not np.can_cast(a.dtype, dtype, "same_kind"):
            raise Refused(f"train returned {name!r} as {a.dtype}, want {dtype}")
        with np.errstate(over="ignore"):  # the agent refuses infinities by name and place
            return a.astype(dtype)


def measured(value: Any) -> Dict[str, Any]:
    """What ``evaluate`` has returned, as members of the answer: sums, and counts of classes."""
    out: Dict[str, Any] = {}
    if isinstance(value, Mapping):
        out = {name: np.asarray(value[name]).tolist() for name in ("confusion", "scores") if name in value}
        value = {name: v for name, v in value.items() if name not in out}
    return {"metrics": numbers(value), **out}


def numbers(value: Any) -> Dict[str, float]:
    """The sums that ``evaluate`` has returned."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Refused(f"evaluate returned {kind(value)}: want sums by name, such as those of fedmq_trainer.classification or regression")
    out = {}
    for name, v in value.items():
        if name in _MEANS:
            raise Refused(f"evaluate returned {name!r}, which cannot be pooled: send n (rows) and {_MEANS[name]} (a sum over them),"
                          " as fedmq_trainer.classification and regression do")
        try:
            out[str(name)] = float(v)
        except (TypeError, ValueError, OverflowError):
            raise Refused(f"evaluate returned {name!r} as {v!r:.60}, want a number") from None
    if len(out) > _MOST:
        raise Refused(f"evaluate returned {len(out)} numbers, at most {_MOST} travel")
    return out


def rows(value: Any) -> int:
    """The number of training rows."""
    try:
        n = int(value)
    except (TypeError, ValueError):
        raise Refused(f"samples is {value!r:.60}, want the number of training rows") from None
    if n != value or n < 0:
        raise Refused(f"samples is {value!r}, want a whole number of training rows")
    return n


def explain(e: BaseException) -> str:
    """What goes to standard error: the trace, without the frames of this package."""
    whole = traceback.TracebackException.from_exception(e)
    shown: Optional[traceback.TracebackException] = whole
    theirs = False
    while shown is not None:
        shown.stack = traceback.StackSummary.from_list([f for f in shown.stack if os.path.dirname(os.path.abspath(f.filename)) != _HERE])
        theirs = theirs or len(shown.stack) > 0
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
    if isinstance(e, Refused):
        return f"fedmq_trainer: {e}\n"
    if not theirs:
        return "".join(whole.format_exception_only())
    return "".join(whole.format())


def told(e: BaseException) -> str:
    """What the agent is told."""
    return str(e)[:2000] if isinstance(e, Refused) else f"{type(e).__name__}: {e}"[:2000]


def kind(value: Any) -> str:
    """What a value is, with its article."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
