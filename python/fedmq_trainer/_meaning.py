"""What a trainer says of its model's inputs and output: sites that mean something else are refused."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ._answers import Refused

_MOST = 96 << 10  # bytes of a contract


def contract(features: Optional[Sequence[Any]], classes: Optional[Sequence[Any]], target: str = "y",
             net: Optional[Mapping[str, str]] = None) -> Optional[Dict[str, Any]]:
    """The contract of a model that reads ``features`` as they are, in order, and tells ``classes`` (a
    number, without); nothing where the features are not known. ``net`` says what the tensors make,
    if they are none of the program's own."""
    if features is None:
        if classes is not None:
            raise Refused("classes: want features=[...] beside them, the names of the columns: sites are compared by both")
        return None
    names, labels = _texts("features", features), _texts("classes", classes) if classes is not None else None
    about: Dict[str, Any] = {"name": str(target)}
    if labels is not None:
        about["classes"] = labels
    out = {"inputs": [{"name": name} for name in names], "target": about, "net": dict(net or {"output": "identity" if labels is None else "softmax"})}
    if sum(len(name.encode()) + 14 for name in names) > _MOST - 8192:
        return None  # too long to travel: only the number of inputs is compared, by the tensors
    return out


def columns(x: Any) -> Optional[List[str]]:
    """The names of the columns of a frame."""
    names = getattr(x, "columns", None)
    return [str(name) for name in names] if names is not None else None


def _texts(what: str, values: Sequence[Any]) -> List[str]:
    if isinstance(values, (str, bytes)):
        raise Refused(f"{what} is {values!r:.60}: want a list of names")
    out = [str(v) for v in values]
    if not out:
        raise Refused(f"{what} is empty: want names, or leave it out")
    if twice := [v for i, v in enumerate(out) if v in out[:i]]:
        raise Refused(f"{what}: {twice[0]!r:.60} stands twice")
    return out
