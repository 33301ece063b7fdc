import numpy as np
import pytest

import fedmq_trainer as fm


def test_classification():
    m = fm.classification([0, 0, 1, 2], [0, 1, 1, 1], 3, loss_sum=2.5)
    assert m == {"n": 4, "correct": 2, "loss": 2.5, "confusion.0.0": 1, "confusion.0.1": 1, "confusion.1.1": 1, "confusion.2.1": 1}


def test_what_is_no_class():
    """Truncated to a whole number, a probability would be class 0; -1 is the last place of an array."""
    for what in ([0.9, 0.2], [0, -1], [1, 2], [0, np.nan], ["a", "b"], [[0.1, 0.9]]):
        with pytest.raises(ValueError, match="predicted classes: .* is none of 0 to 1: want the number of the class of each row"):
            fm.classification([0, 1], what, 2)
    assert fm.classification([False, True], [0.0, 1.0], 2)["correct"] == 2


def test_many_classes_fit_an_update():
    rng = np.random.default_rng(2)
    a, p = rng.integers(0, 80, 5000), rng.integers(0, 80, 5000)
    m = fm.classification(a, p, 80)
    assert len(m) <= 256 and m["n"] == 5000 and m["correct"] == (a == p).sum()
    assert m["actual.3"] == (a == 3).sum() and m["predicted.79"] == (p == 79).sum()


def test_regression():
    m = fm.regression([3, 5], [2, 7])
    assert m == {"n": 2, "se": 5, "ae": 3, "y_mean": 4, "y_m2": 2}


def test_lengths_differ():
    with pytest.raises(ValueError, match="2 actual and 1 predicted"):
        fm.classification([0, 1], [0], 2)


def test_moments():
    m = fm.moments([[1.0, np.nan], [3.0, 5.0]])
    assert m["n"].tolist() == [2, 1] and m["mean"].tolist() == [2, 5] and m["m2"].tolist() == [2, 0]


def test_moments_of_large_and_small_values():
    rows = np.column_stack([np.full(20000, 1700000000.1), 1.7e9 + np.resize([-1.0, 1.0], 20000), np.resize([1e-12, 9e-12], 20000)])
    m = fm.moments(rows)
    assert m["mean"][0] == 1700000000.1 and m["m2"][0] == 0, "standing still"
    assert m["mean"][1] == 1.7e9 and m["m2"][1] == 20000
    assert m["mean"][2] == pytest.approx(5e-12, rel=1e-12) and m["m2"][2] == pytest.approx(20000 * 16e-24, rel=1e-12)


def test_moments_of_nothing():
    assert fm.moments(np.zeros((0, 2)))["n"].tolist() == [0, 0]
    m = fm.moments([[np.nan], [np.nan]])
    assert (m["n"].tolist(), m["mean"].tolist(), m["m2"].tolist()) == ([0], [0], [0])
