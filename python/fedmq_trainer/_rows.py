"""Rows as people have them, read into columns of numbers. What cannot be read is said in the words of the data."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from ._safetensors import Array

_FLAGS = {"true": 1.0, "false": 0.0}


def read(x: Any, inputs: Sequence[Mapping[str, Any]]) -> Dict[str, Array]:
    """The inputs by name: numbers, NaN where one is missing; of a text its place among the
    values of the input, -1 where it is none of them.

    x is a frame or a mapping of columns, a list of rows as mappings, or a matrix with a
    column for each input, in order.
    """
    names = [str(i["name"]) for i in inputs]
    given = _columns(x, names)
    lengths = {name: len(v) for name, v in given.items()}
    for name, n in lengths.items():
        if n != lengths[names[0]]:
            raise ValueError(f"{name} has {n} rows, {names[0]} has {lengths[names[0]]}")
    return {str(i["name"]): _numbers(str(i["name"]), given[str(i["name"])]) if i.get("values") is None
            else _places(given[str(i["name"])], i["values"]) for i in inputs}


def _columns(x: Any, names: Sequence[str]) -> Dict[str, Array]:
    if isinstance(x, (list, tuple)) and x and isinstance(x[0], Mapping):
        if other := next((i for i, row in enumerate(x) if not isinstance(row, Mapping)), None):
            raise ValueError(f"row {other} is a {type(x[other]).__name__}, row 0 a mapping: want rows of one kind")
        x = {name: [row.get(name) for row in x] for name in names if any(name in row for row in x)}
    if isinstance(x, Mapping):
        named: Any = x
    elif hasattr(x, "columns"):
        named = x.columns
    else:
        return _matrix(x, names)
    for name in names:
        if name not in named:
            raise ValueError(f"no column {name!r}: want {some(names)}, got {some([str(n) for n in named]) or 'none'}")
    return {name: _column(name, x[name]) for name in names}


def _column(name: str, values: Any) -> Array:
    a = _array(values)
    if a.ndim > 2 or a.ndim == 2 and a.shape[1] != 1:
        raise ValueError(f"column {name!r} has {list(a.shape)} values: want one for each row, and each name once")
    return a.ravel()


def _matrix(x: Any, names: Sequence[str]) -> Dict[str, Array]:
    wanted = f"want rows of {len(names)} values, {some(names)}"
    if not isinstance(x, np.ndarray) and isinstance(x, Sequence) and not isinstance(x, str):
        for i, row in enumerate(x):
            if hasattr(row, "__len__") and not isinstance(row, str) and len(row) != len(names):
                raise ValueError(f"{wanted}; row {i} has {len(row)}")
        x = [list(row) if hasattr(row, "__len__") and not isinstance(row, str) else row for row in x]
    a = _array(x)
    if a.ndim != 2 or a.shape[1] != len(names):
        raise ValueError(f"{wanted}, got an array {list(a.shape)}")
    return {name: a[:, i] for i, name in enumerate(names)}


def _array(values: Any) -> Array:
    """Numbers as they are, all else as objects: numpy makes texts of a row of both."""
    if isinstance(values, np.ndarray) or hasattr(values, "dtype"):
        return np.asarray(values)
    try:
        if (a := np.asarray(values)).dtype.kind in "fiu":
            return a
    except ValueError:  # rows of different lengths, or cells that are lists
        pass
    return np.asarray(values, dtype=object)


def _numbers(name: str, values: Array) -> Array:
    if values.dtype.kind in "fiub":
        out: Array = values.astype(np.float64)
    else:
        out = np.array([_number(name, i, v) for i, v in enumerate(values)], dtype=np.float64)
    if (wrong := np.flatnonzero(np.isinf(out))).size:
        raise _bad(name, int(wrong[0]), values[wrong[0]])
    return out


def _number(name: str, row: int, v: Any) -> float:
    if missing(v):
        return float("nan")
    if isinstance(v, str) and v.strip().lower() in _FLAGS:
        return _FLAGS[v.strip().lower()]
    try:
        if not isinstance(v, (np.datetime64, np.timedelta64)) and "_" not in str(v):
            return float(v)
    except (ValueError, TypeError, OverflowError):
        pass
    raise _bad(name, row, v)


def _bad(name: str, row: int, v: Any) -> ValueError:
    hint = "NaN or None where it is missing"
    if isinstance(v, str) and "," in v:
        hint = "with a decimal point: pandas.read_csv has decimal=','"
    return ValueError(f"row {row}: {name} is {v!r:.60}, want a finite number, {hint}")


def _places(values: Array, texts: Sequence[str]) -> Array:
    """Where each value stands among the texts."""
    at = {text: i for i, text in enumerate(texts)}
    return np.array([next((at[w] for w in _words(v) if w in at), -1) for v in values.tolist()], dtype=np.int64)


def _words(v: Any) -> List[str]:
    """How a file may have written a value: a code is read as 7.0 where another row has none."""
    if missing(v):
        return []
    if isinstance(v, bool):
        return [str(v), str(v).lower()]
    if isinstance(v, float) and v.is_integer():
        return [str(v), str(int(v))]
    return [str(v).strip()]


def missing(v: Any) -> bool:
    """None, NaN, what pandas has for them, and an empty text, as the reader of csv has it."""
    if v is None or isinstance(v, float) and v != v or isinstance(v, str) and not v.strip():
        return True
    return type(v).__name__ in ("NAType", "NaTType")


def some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
