"""A contract, checked as fedmq itself checks it: unknown members, kinds, limits."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any, Dict, List, Mapping, Sequence, Tuple, cast

from ._safetensors import BadFile

#: testdata/vectors/contract.json of the repository has the same ones.
LIMITS = {"json_bytes": 96 << 10, "inputs": 1 << 17, "classes": 4096, "values": 256, "name_bytes": 256, "window_rows": 100_000, "group": 64}

_Kinds = Dict[str, Any]  # member: what it is; [kind] a list of it

_TEXT, _NUMBER, _WHOLE, _FLAG = "a text", "a number", "a whole number", "true or false"
_INPUT: _Kinds = {"name": _TEXT, "unit": _TEXT, "values": [_TEXT]}
_FEATURE: _Kinds = {"of": _TEXT, "clip": _NUMBER, "slog": _NUMBER, "log1p": _FLAG, "missing_flag": _FLAG}
_WINDOW: _Kinds = {"group": [_TEXT], "order": _TEXT, "rows": _WHOLE, "stats": [_TEXT]}
_TARGET: _Kinds = {"name": _TEXT, "classes": [_TEXT], "unit": _TEXT, "offset": _NUMBER, "scale": _NUMBER, "rows_left": _NUMBER}
_NET: _Kinds = {"tensors": _TEXT, "activation": _TEXT, "output": _TEXT}
_CONTRACT: _Kinds = {"inputs": [_INPUT], "features": [_FEATURE], "window": _WINDOW, "zclip": _NUMBER, "target": _TARGET, "net": _NET}


class BadContract(BadFile):
    """What a file says of its inputs and output cannot be used."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"fedmq.contract: bad contract: {place}: {problem}" if place else f"fedmq.contract: bad contract: {problem}")


def contract(text: str) -> Dict[str, Any]:
    """The contract that a file has, its members in any order."""
    if (size := len(text.encode("utf-8", "surrogatepass"))) > LIMITS["json_bytes"]:
        raise BadContract("", f"{size} bytes, want at most {LIMITS['json_bytes']}")
    try:
        c = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as e:
        raise BadContract("", str(e)) from None
    _kind(c, _CONTRACT, "")
    _inputs(c)
    if c.get("zclip", 0) < 0:
        raise BadContract("zclip", f"want 0 or more, not {c['zclip']:g}")
    _window(c)
    _target(c.get("target", {}))
    _net(c.get("net", {}), c["target"])
    return cast("Dict[str, Any]", c)


def _kind(value: Any, want: Any, place: str) -> None:
    """Compare a value with what it should be, all the way down."""
    if isinstance(want, list):
        if not isinstance(value, list):
            raise BadContract(place, f"want a list, not {quoted(value)}")
        for i, v in enumerate(value):
            _kind(v, want[0], f"{place}[{i}]")
    elif isinstance(want, dict):
        if not isinstance(value, dict):
            raise BadContract(place, f"want an object, not {quoted(value)}")
        for name, v in value.items():
            if name not in want:
                raise BadContract(place, f"unknown field {quoted(name)}, want {', '.join(want)}")
            _kind(v, want[name], f"{place}.{name}".lstrip("."))
    elif not _is(value, want):
        raise BadContract(place, f"want {want}, not {quoted(value)}")


def _is(value: Any, kind: str) -> bool:
    if kind == _TEXT:
        return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)
    if kind == _FLAG:
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or kind == _WHOLE and not isinstance(value, int):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _inputs(c: Mapping[str, Any]) -> None:
    inputs: List[Mapping[str, Any]] = c.get("inputs", [])
    if not 1 <= len(inputs) <= LIMITS["inputs"]:
        raise BadContract("inputs", f"want 1 to {LIMITS['inputs']}, not {len(inputs)}")
    width: Dict[str, int] = {}  # features of an input; 0 of a number
    for i, v in enumerate(inputs):
        place, name = f"inputs[{i}]", _name(f"inputs[{i}]", v.get("name", ""))
        if name in width:
            raise BadContract(place, f"{quoted(name)} is there twice")
        width[name] = 0
        if "values" in v:
            if v.get("unit"):
                raise BadContract(place, "want unit or values: a text has no unit")
            width[name] = len(_texts(place, "values", v["values"], 1, LIMITS["values"]))
    total, features = 0, c.get("features") or [{"of": name} for name in width]
    for i, f in enumerate(features):
        place, of = f"features[{i}]", f.get("of", "")
        if of not in width:
            raise BadContract(f"{place}.of", f"{quoted(of)} is no input")
        if f.get("clip", 0) < 0 or f.get("slog", 0) < 0 or f.get("slog") and f.get("log1p"):
            raise BadContract(place, "want clip and slog of 0 or more, and one logarithm at most")
        if width[of] and (f.get("clip") or f.get("slog") or f.get("log1p")):
            raise BadContract(place, f"{quoted(of)} has values: want no clip and no logarithm")
        if f.get("missing_flag") and "window" in c:
            raise BadContract(place, "want missing_flag or a window")
        total += max(width[of], 1) + bool(f.get("missing_flag"))
    if total * len(c.get("window", {}).get("stats", "1")) > LIMITS["inputs"]:
        raise BadContract("features", f"want at most {LIMITS['inputs']}")


def _window(c: Mapping[str, Any]) -> None:
    if (w := c.get("window")) is None:
        return
    rows, stats = w.get("rows", 0), w.get("stats", [])
    if not 1 <= rows <= LIMITS["window_rows"] or not stats:
        raise BadContract("window", f"want stats and 1 to {LIMITS['window_rows']} rows")
    _texts("window", "group", w.get("group", []), 1, LIMITS["group"])
    for name in stats:
        digits = name[4:] if name.startswith("mean") else ""
        if name not in ("mean", "slope") and not (digits.isascii() and digits.isdigit()):
            raise BadContract("window", f"stats: unknown {quoted(name)}, want mean, mean<k> or slope")
        if digits and not 1 <= int(digits[:9]) <= rows:
            raise BadContract("window", f"stats: {quoted(name)}: want 1 to {rows} rows, the window")


def _target(t: Mapping[str, Any]) -> None:
    _name("target.name", t.get("name", ""))
    if t.get("scale", 0) < 0 or t.get("rows_left", 0) < 0:
        raise BadContract("target", "want finite numbers, scale and rows_left of 0 or more")
    if (classes := t.get("classes")) is None:
        return
    if any(t.get(k) for k in ("unit", "offset", "scale", "rows_left")):
        raise BadContract("target", "classes have no unit, offset, scale or rows_left")
    _texts("target", "classes", classes, 2, LIMITS["classes"])


def _net(net: Mapping[str, Any], target: Mapping[str, Any]) -> None:
    if (tensors := net.get("tensors", "")) not in ("", "layers", "coef"):
        raise BadContract("net.tensors", f"{quoted(tensors)}, want layers or coef")
    if (activation := net.get("activation", "")) not in ("", "relu", "tanh", "logistic", "identity"):
        raise BadContract("net.activation", f"{quoted(activation)}, want relu, tanh, logistic or identity")
    classes = target.get("classes")
    want = ["identity"] if classes is None else ["softmax", "logistic" if len(classes) == 2 else "ovr", "margin"]
    if net.get("output", "") not in want:
        raise BadContract("net.output", f"{quoted(net.get('output', ''))}, want {' or '.join(want)}")


def _name(place: str, s: str) -> str:
    try:
        size = len(s.encode())
    except UnicodeEncodeError:
        size = 0
    if not 1 <= size <= LIMITS["name_bytes"]:
        raise BadContract(place, f"{quoted(s)}, want a name of 1 to {LIMITS['name_bytes']} bytes of UTF-8")
    if any(unicodedata.category(ch) == "Cc" for ch in s):
        raise BadContract(place, f"{quoted(s)} has a control character, want a name that can be shown")
    return s


def _texts(place: str, what: str, texts: Sequence[str], least: int, most: int) -> Sequence[str]:
    if not least <= len(texts) <= most:
        raise BadContract(place, f"{what}: want {least} to {most}, not {len(texts)}")
    there = set()
    for i, s in enumerate(texts):
        if _name(f"{place}: {what}[{i}]", s) in there:
            raise BadContract(place, f"{what}[{i}]: {quoted(s)} is there twice")
        there.add(s)
    return texts


def _unique(pairs: "List[Tuple[str, Any]]") -> Dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a member comes twice")
    return out


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def quoted(v: Any) -> str:
    """As the program itself would show it."""
    return json.dumps(v, ensure_ascii=True)[:60]
