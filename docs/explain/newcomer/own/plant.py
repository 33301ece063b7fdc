"""Rows of a plant, a linear model of scikit-learn, and what it gets right. Nothing here knows of federated learning."""
import numpy as np
import pandas as pd
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import confusion_matrix

INPUTS, CLASSES = ["flow", "pressure"], ["fault", "ok"]
MEAN, SD = np.array([12.5, 3.0]), np.array([0.8, 0.35])  # typed in: no site knows those of both
WEIGHTS = {"fault": 33.0, "ok": 0.5}  # typed in: no site knows the counts of both


def scaled(rows):
    return np.nan_to_num((rows[INPUTS].to_numpy() - MEAN) / SD)


def load(path):
    rows = pd.read_csv(path, sep=";", decimal=",")
    test = np.arange(len(rows)) % 5 == 0
    x, y = scaled(rows), rows["result"].to_numpy()
    return x[~test], y[~test], x[test], y[test]


def model(weights, lr=0.01):
    m = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=lr, class_weight=WEIGHTS)
    m.classes_, m.coef_, m.intercept_ = np.array(CLASSES), weights[None, :-1].astype(float), weights[-1:].astype(float)
    return m


def train(weights, x, y, lr):
    m = model(weights, lr).partial_fit(x, y, classes=CLASSES)
    return np.append(m.coef_, m.intercept_)


def confusion(weights, x, y):
    return confusion_matrix(y, model(weights).predict(x), labels=CLASSES).ravel()


def scores(found, missed, wrong, right):
    """Precision, recall and F1 of each class, and macro F1."""
    fault = found / max(found + wrong, 1e-9), found / (found + missed), 2 * found / (2 * found + wrong + missed)
    ok = right / max(right + missed, 1e-9), right / (right + wrong), 2 * right / (2 * right + wrong + missed)
    return fault, ok, (fault[2] + ok[2]) / 2
