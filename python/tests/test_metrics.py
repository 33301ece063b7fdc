import json
import pathlib

import numpy as np
import pytest

import fedmq_trainer as fm


def test_classification():
    m = fm.classification([0, 0, 1, 2], [0, 1, 1, 1], 3, loss_sum=2.5)
    assert m == {"n": 4, "correct": 2, "loss": 2.5, "confusion": [[1, 1, 0], [0, 1, 0], [0, 1, 0]]}


def test_probabilities():
    m = fm.classification([0, 1, 1], [0, 1, 0], 2, probabilities=[[0.75, 0.25], [0.5, 0.5], [1, 0]])
    assert m["log_loss"] == pytest.approx(-np.log(0.75) - np.log(0.5) - np.log(np.finfo(float).eps))
    own, other = m["scores"][1][1], m["scores"][1][0]
    assert (own[128], own[0], other[96], sum(own), sum(other)) == (1, 1, 1, 2, 1)
    assert fm.classification([0, 1, 1], [0, 1, 0], 2, probabilities=[0.25, 0.5, 0])["scores"] == m["scores"]
    for what, why in {"shape": [0.1, 0.2], "numbers from 0 to 1": [0.1, 2, 0.3], "from 0": [0.1, np.nan, 0.3]}.items():
        with pytest.raises(ValueError, match=what):
            fm.classification([0, 1, 1], [0, 1, 0], 2, probabilities=why)


def test_bins_are_those_of_the_vectors():
    """The same rows give the area that scikit-learn finds over all of them, as near as bins are."""
    vectors = json.loads((pathlib.Path(__file__).parents[2] / "testdata/vectors/evaluation.json").read_text())
    for case in vectors["classification"]:
        total = 0
        for site in case["sites"]:
            p = np.array(site["probabilities"])
            m = fm.classification(site["actual"], p.argmax(1), case["classes"], probabilities=p)
            total = total + np.array(m["scores"], dtype=float)
        areas = []
        for other, own in total:
            below = np.concatenate([[0], np.cumsum(other)[:-1]])
            if own.sum() and other.sum():
                areas.append(((below + other / 2) * own).sum() / own.sum() / other.sum())
        assert np.mean(areas) == pytest.approx(case["expected"]["roc_auc"], abs=0.005), case["name"]


def test_what_is_no_class():
    """Truncated to a whole number, a probability would be class 0; -1 is the last place of an array."""
    for what in ([0.9, 0.2], [0, -1], [1, 2], [0, np.nan], ["a", "b"], [[0.1, 0.9]]):
        with pytest.raises(ValueError, match="predicted classes: .* is none of 0 to 1: want the number of the class of each row"):
            fm.classification([0, 1], what, 2)
    assert fm.classification([False, True], [0.0, 1.0], 2)["correct"] == 2


def test_many_classes():
    rng = np.random.default_rng(2)
    a, p = rng.integers(0, 80, 5000), rng.integers(0, 80, 5000)
    m = fm.classification(a, p, 80)
    assert m["n"] == 5000 and m["correct"] == (a == p).sum() and m["confusion"][3][79] == ((a == 3) & (p == 79)).sum()
    assert fm.classification(a, p, 81) == {"n": 5000, "correct": m["correct"]}


def test_regression():
    m = fm.regression([3, 5], [2, 7])
    assert m == {"n": 2, "se": 5, "ae": 3, "e": 1, "y_mean": 4, "y_m2": 2}


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
