"""Sums over rows (X-9): sites are pooled by adding, so no means here but the target's."""

from __future__ import annotations

from typing import Any, Dict, Optional

import numpy as np
import numpy.typing as npt

_MAX = 256  # numbers of one update


def classification(actual: npt.ArrayLike, predicted: npt.ArrayLike, classes: int, loss_sum: Optional[float] = None) -> Dict[str, float]:
    """Sums for classes numbered from 0: rows, hits, and the confusion matrix
    (with more than 15 classes its diagonal and margins). The aggregator shows
    accuracy and macro F1, and with ``loss_sum`` the mean loss."""
    a, p = _classes("actual", actual, classes), _classes("predicted", predicted, classes)
    if a.shape != p.shape:
        raise ValueError(f"{a.size} actual and {p.size} predicted classes")
    cells = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(cells, (a, p), 1)
    out = {"n": float(a.size), "correct": float(np.trace(cells))}
    if loss_sum is not None:
        out["loss"] = float(loss_sum)
    full = classes * classes + 8 <= _MAX
    for i, j in np.argwhere(cells):
        if full or i == j:
            out[f"confusion.{i}.{j}"] = float(cells[i, j])
    if not full:
        out.update({f"actual.{i}": float(n) for i, n in enumerate(cells.sum(1)) if n})
        out.update({f"predicted.{j}": float(n) for j, n in enumerate(cells.sum(0)) if n})
    return out


def _classes(what: str, values: npt.ArrayLike, classes: int) -> "npt.NDArray[np.int64]":
    """Numbers of classes. A probability would count as class 0, -1 as the last one."""
    v = np.asarray(values).ravel()
    with np.errstate(invalid="ignore"):
        number = v.astype(np.int64) if v.dtype.kind in "iubf" else np.full(v.shape, -1, np.int64)
    odd = v[(number != v) | (number < 0) | (number >= classes)]
    if odd.size:
        raise ValueError(f"{what} classes: {odd.tolist()[0]!r:.60} is none of 0 to {classes - 1}: want the number of the class of each row")
    return number


def regression(actual: npt.ArrayLike, predicted: npt.ArrayLike, loss_sum: Optional[float] = None) -> Dict[str, float]:
    """Sums for a regression: the aggregator shows RMSE, MAE and R2."""
    y = np.asarray(actual, dtype=np.float64).ravel()
    p = np.asarray(predicted, dtype=np.float64).ravel()
    if y.shape != p.shape:
        raise ValueError(f"{y.size} actual and {p.size} predicted values")
    e = p - y
    target = moments(y[:, np.newaxis])
    out = {
        "n": float(y.size), "se": float(e @ e), "ae": float(np.abs(e).sum()),
        "y_mean": float(target["mean"][0]), "y_m2": float(target["m2"][0]),
    }
    if loss_sum is not None:
        out["loss"] = float(loss_sum)
    return out


def moments(rows: npt.ArrayLike) -> Dict[str, npt.NDArray[Any]]:
    """The answer to a statistics request: count, mean and sum of squared
    deviations of every column, NaN left out."""
    x = np.asarray(rows, dtype=np.float64)
    there = ~np.isnan(x)
    n = there.sum(0).astype(np.float64)
    # Distances from the first value of a column: equal values, however large, have
    # exactly their own mean.
    first = np.where(n > 0, np.take_along_axis(x, there.argmax(0)[np.newaxis], 0)[0], 0.0) if len(x) else np.zeros(x.shape[1:])
    x = np.where(there, x - first, 0.0)
    mean = x.sum(0) / np.maximum(n, 1)
    m2 = (np.where(there, x - mean, 0.0) ** 2).sum(0)
    return {"n": n, "mean": first + mean, "m2": m2}
