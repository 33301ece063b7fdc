"""Sums over rows (X-9): sites are pooled by adding, so no means here but the target's."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import numpy as np
import numpy.typing as npt

_CLASSES = 80  # that are counted
_BINS = 256


def _edges() -> "npt.NDArray[np.float64]":
    """The lower ends of the bins of a probability (F-19 of docs/spec/fold.md)."""
    low = [(1 + i % 4 / 4) * 2.0 ** (i // 4 - 15) for i in range(1, 40)]
    low += [(i - 32) / 256 for i in range(40, 96)] + [1 / 4 + (i - 96) / 128 for i in range(96, 128)]
    return np.array([0.0, *low, 0.5, *(1 - e for e in reversed(low))])


_EDGES = _edges()


def classification(
    actual: npt.ArrayLike, predicted: npt.ArrayLike, classes: int, loss_sum: Optional[float] = None,
    probabilities: Optional[npt.ArrayLike] = None,
) -> Dict[str, Any]:
    """What a site counts of classes numbered from 0, for the sums of all sites: rows, hits
    and the confusion matrix, from which the aggregator makes accuracy, macro F1, and
    precision and recall of each class; with ``loss_sum`` the mean loss.

    ``probabilities``, [rows, classes], or of two classes [rows] those of class 1, add
    histograms and the log loss: area under the ROC curve and average precision, of all
    rows. Classes are counted up to 80; with more of them there is the accuracy alone."""
    a, p = _classes("actual", actual, classes), _classes("predicted", predicted, classes)
    if a.shape != p.shape:
        raise ValueError(f"{a.size} actual and {p.size} predicted classes")
    cells = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(cells, (a, p), 1)
    out: Dict[str, Any] = {"n": float(a.size), "correct": float(np.trace(cells))}
    if loss_sum is not None:
        out["loss"] = float(loss_sum)
    counted = 2 <= classes <= _CLASSES
    if counted:
        out["confusion"] = cells.tolist()
    if probabilities is not None:
        q = _probabilities(probabilities, a.size, classes)
        tiny = np.finfo(np.float64).eps  # as scikit-learn has it: a single 0 would be an infinite loss
        out["log_loss"] = float(-np.log(np.clip(q[np.arange(a.size), a], tiny, 1)).sum())
        if counted:
            out["scores"] = _scores(a, q, classes)
    return out


def _probabilities(values: npt.ArrayLike, rows: int, classes: int) -> "npt.NDArray[np.float64]":
    q = np.asarray(values, dtype=np.float64)
    if q.ndim == 1 and classes == 2:
        q = np.column_stack([1 - q, q])
    if q.shape != (rows, classes):
        raise ValueError(f"probabilities of the shape {list(q.shape)}, want [{rows}, {classes}]: one for each row and class")
    if not ((q >= 0) & (q <= 1 + 1e-6)).all():
        raise ValueError("probabilities: want numbers from 0 to 1 (a softmax or a sigmoid turns scores into them)")
    return q


def _scores(actual: "npt.NDArray[np.int64]", q: "npt.NDArray[np.float64]", classes: int) -> List[List[List[int]]]:
    """For each class the histograms of its probability, of other classes' rows and of its own."""
    bins = np.searchsorted(_EDGES, q, side="right") - 1
    return [
        [np.bincount(bins[own, k], minlength=_BINS).tolist() for own in (actual != k, actual == k)]
        for k in range(classes)
    ]


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
    """Sums for a regression: the aggregator shows RMSE, MAE, R2 and the bias (mean of predicted less actual)."""
    y = np.asarray(actual, dtype=np.float64).ravel()
    p = np.asarray(predicted, dtype=np.float64).ravel()
    if y.shape != p.shape:
        raise ValueError(f"{y.size} actual and {p.size} predicted values")
    e = p - y
    target = moments(y[:, np.newaxis])
    out = {
        "n": float(y.size), "se": float(e @ e), "ae": float(np.abs(e).sum()), "e": float(e.sum()),
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
