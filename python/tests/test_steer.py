"""What a strategy needs of local training (X-17), in numpy and in torch."""

import numpy as np
import pytest

from agent import Agent
from fedmq_trainer import _steer

NUMPY = """
    import fedmq_trainer as fm

    def train(model, job):
        if job.settings.get("forgets"):
            return {"w": model["w"] + 1}
        for _ in range(3):
            g = job.steered(model, {"w": 2 * model["w"]}, lr=0.1)
            model["w"] -= 0.1 * g["w"]
        if "loss0" in job.needs:
            job.tell(loss0=float(job.settings["loss0"]))
        if "steps" in job.needs and job.settings.get("momentum") is not None:
            job.tell(momentum=job.settings["momentum"])
        return model

    fm.run(samples=2, train=train, capabilities=("steps", "mu", "loss0", "correction", "sgd"))
"""
MODEL = {"w": np.array([1.0, -2.0])}


def descend(w, gradient, steps, lr, mu=0.0, add=0.0, momentum=0.0):
    base, v = w.copy(), 0
    for _ in range(steps):
        v = momentum * v + gradient(w) + mu * (w - base) + add
        w = w - lr * v
    return w


def test_numpy(tmp_path):
    with Agent(tmp_path, NUMPY) as a:
        assert a.hello["capabilities"] == ["correction", "loss0", "mu", "sgd", "steps"]
        plain = a.ask("train", MODEL)[1]
        assert "scalars" not in plain
        np.testing.assert_allclose(plain["file"].tensors["w"], descend(MODEL["w"], lambda w: 2 * w, 3, 0.1))
        add = {"w": np.array([0.5, 0.25])}
        got = a.ask("train", MODEL, {"loss0": 1.5}, needs=["correction", "loss0", "mu", "sgd", "steps"], mu=0.7, correction=add)[1]
        np.testing.assert_allclose(got["file"].tensors["w"], descend(MODEL["w"], lambda w: 2 * w, 3, 0.1, 0.7, add["w"]), rtol=1e-12)
        assert got["scalars"] == {"steps": 3, "lr": pytest.approx(0.1), "momentum": 0, "loss0": 1.5}
        assert "has applied nothing: call job.steered" in a.ask("train", MODEL, {"forgets": True}, needs=["mu"], mu=0.7)[1]["message"]
        assert "needs momentum of local training: say job.tell(momentum=...)" in a.ask("train", MODEL, needs=["steps"])[1]["message"]
        assert "loss0 as nan" in a.ask("train", MODEL, {"loss0": "nan"}, needs=["loss0"])[1]["message"]


def test_unknown_capability():
    with pytest.raises(ValueError, match="capabilities has 'SGD', want some of correction, loss0"):
        _steer.capabilities(["SGD"])


TORCH = """
    import torch
    from torch import nn
    import fedmq_trainer.torch

    x = torch.tensor([[0., 1.], [1., 0.], [1., 1.], [2., 1.]], dtype=torch.float64)
    y = x.sum(1, keepdim=True)

    def train(model, job):
        opt = getattr(torch.optim, job.settings.get("optimizer", "SGD"))(model.parameters(), lr=0.1, **job.settings.get("with", {}))
        if job.settings.get("steered", True):
            fedmq_trainer.torch.steer(opt, model, job)
        for _ in range(4):
            opt.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            opt.step()

    fedmq_trainer.torch.run(lambda: nn.Linear(2, 1).double(), samples=4, train=train, capabilities=("correction", "momentum", "mu", "sgd", "steps"))
"""
LINEAR = {"bias": np.array([0.25]), "weight": np.array([[0.5, -1.0]])}


def slope(w):
    x = np.array([[0.0, 1], [1, 0], [1, 1], [2, 1]])
    e = x @ w[1:] + w[0] - x.sum(1)
    return np.concatenate([[2 * e.mean()], 2 * x.T @ e / 4])


def test_torch(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    flat = np.concatenate([LINEAR["bias"], LINEAR["weight"][0]])
    add = {"bias": np.array([0.1]), "weight": np.array([[0.2, -0.3]])}
    needs = {"needs": ["correction", "mu", "sgd", "steps"], "mu": 0.7, "correction": add}
    with Agent(tmp_path, TORCH) as a:
        def ask(settings, **more):
            answer = a.ask("train", LINEAR, settings, **more)[1]
            if answer["type"] == "error":
                return answer["message"], None
            t = answer["file"].tensors
            return np.concatenate([t["bias"], t["weight"][0]]), answer.get("scalars")

        np.testing.assert_allclose(ask({})[0], descend(flat, slope, 4, 0.1), rtol=1e-12)
        got, scalars = ask({}, **needs)
        np.testing.assert_allclose(got, descend(flat, slope, 4, 0.1, 0.7, np.array([0.1, 0.2, -0.3])), rtol=1e-12)
        assert scalars == {"steps": 4, "lr": pytest.approx(0.1), "momentum": 0}
        got, scalars = ask({"with": {"momentum": 0.5}}, needs=["momentum", "mu", "steps"], mu=0.2)
        np.testing.assert_allclose(got, descend(flat, slope, 4, 0.1, 0.2, momentum=0.5), rtol=1e-12)
        assert scalars["momentum"] == 0.5
        assert "plain SGD: leave momentum out" in ask({"with": {"momentum": 0.5}}, **needs)[0]
        assert "plain SGD, not Adam" in ask({"optimizer": "Adam"}, **needs)[0]
        assert "leave nesterov out" in ask({"with": {"momentum": 0.5, "nesterov": True}}, needs=["momentum"])[0]
        assert "has applied nothing" in ask({"steered": False}, **needs)[0]
