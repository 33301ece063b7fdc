import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: TORCH=1 make test-python installs it")

import fedmq_trainer as fm  # noqa: E402
from agent import Agent  # noqa: E402
from fedmq_trainer import torch as helper  # noqa: E402

NET = """
    import torch
    from torch import nn

    def net():
        m = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 1))
        m.register_buffer("mask", torch.ones(2, dtype=torch.bool))
        m.append(Scale())
        return m

    class Scale(nn.Module):
        def forward(self, x):
            return x

        def get_extra_state(self):
            return {"calls": 1}

        def set_extra_state(self, state):
            pass
"""
SCRIPT = NET + """
    import fedmq_trainer.torch

    x = torch.tensor([[0., 1.], [1., 0.], [1., 1.], [2., 1.]])
    y = x.sum(1, keepdim=True)

    def train(model, job):
        if "returns" in job.settings:
            return {"model": model, "nothing": None, "list": [0.5], "losses": {"loss": 0.5},
                    "state": {name: t + 1 for name, t in model.state_dict().items() if name != "mask" and name[0] != "5"}}[job.settings["returns"]]
        assert model.training
        opt = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in job.steps(range(job.settings["steps"])):
            opt.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            opt.step()

    def evaluate(model, job):
        assert not model.training and not torch.is_grad_enabled()
        return fedmq_trainer.regression(y, model(x))

    fedmq_trainer.torch.run(net, samples=len(x), train=train, evaluate=evaluate)
"""


def test_bits_there_and_back():
    """Every dtype that travels, NaN payloads, negative zero, odd strides."""
    bits = np.array([0x7FC00001, 0x80000000, 1, 0x7F800000], np.uint32).view(np.float32)
    m = torch.nn.Module()
    for name, t in {
        "f32": torch.from_numpy(bits.copy()), "f64": torch.tensor([0.1, -0.0], dtype=torch.float64),
        "f16": torch.tensor([1.5, 65504.0], dtype=torch.float16), "bf16": torch.tensor([1.5, 3e38, -0.0], dtype=torch.bfloat16),
        "i64": torch.tensor(2**62 + 1), "columns": torch.arange(6.0).reshape(2, 3).t(),
    }.items():
        m.register_buffer(name, t)
    other = torch.nn.Module()
    for name, t in m.state_dict().items():
        other.register_buffer(name, torch.zeros_like(t))
    helper.put(other, fm._safetensors.decode(fm._safetensors.encode(helper.get(m))).tensors)
    for name, t in m.state_dict().items():
        back = other.state_dict()[name]
        assert back.dtype == t.dtype and back.shape == t.shape
        assert fm._run.np.array_equal(helper._array(back).tobytes(), helper._array(t).tobytes()), name


def test_differing_modules():
    m = torch.nn.Linear(2, 1)
    with pytest.raises(ValueError, match="differ in bias"):
        helper.put(m, {"weight": np.zeros((1, 2), np.float32)})
    with pytest.raises(ValueError, match=r"weight is \[2, 1\] in the global model, \[1, 2\]"):
        helper.put(m, {"weight": np.zeros((2, 1), np.float32), "bias": np.zeros(1, np.float32)})


def test_site(tmp_path):
    with Agent(tmp_path, SCRIPT) as a:
        assert a.hello["samples"] == 4 and a.hello["init"] and a.hello["name"].startswith("PyTorch")
        first = a.ask("init")[1]["file"]
        assert first.rules == {"1.num_batches_tracked": "keep"}
        assert "mask" not in first.tensors and first.tensors["1.num_batches_tracked"].shape == ()
        assert a.ask("init")[1]["file"].tensors["0.weight"].tolist() == first.tensors["0.weight"].tolist()
        assert a.ask("init", seed="01" * 32)[1]["file"].tensors["0.weight"].tolist() != first.tensors["0.weight"].tolist()

        first.tensors["1.num_batches_tracked"] += 41
        same = a.ask("train", first.tensors, {"returns": "model"}, rules=first.rules)[1]["file"].tensors
        assert {k: v.tobytes() for k, v in same.items()} == {k: v.tobytes() for k, v in first.tensors.items()}
        state = a.ask("train", first.tensors, {"returns": "state"}, rules=first.rules)[1]["file"].tensors
        assert all((state[k] == v + 1).all() for k, v in first.tensors.items()), "the state_dict() that was returned"
        for how, what in (("nothing", "nothing"), ("list", "a list"), ("losses", "a dict")):
            message = a.ask("train", first.tensors, {"returns": how})[1]["message"]
            assert message.startswith(f"train returned {what} and left the module's weights as they were")

        trained = [a.ask("train", first.tensors, {"steps": 20})[1]["file"].tensors for _ in range(2)]
        assert all(trained[0][k].tobytes() == trained[1][k].tobytes() for k in first.tensors), "same seed, same bits"
        assert trained[0]["1.num_batches_tracked"] == 61
        before, after = (a.ask("evaluate", m)[1]["metrics"] for m in (first.tensors, trained[0]))
        assert before["n"] == 4 and after["se"] < before["se"]
    assert "mask (torch.bool) does not travel" in a.stderr() and "5._extra_state (dict) does not travel" in a.stderr()


WORKERS = """
    import torch, fedmq_trainer.torch
    from torch.utils.data import DataLoader, IterableDataset, TensorDataset

    x = torch.randn(64, 2)
    y = x.sum(1, keepdim=True)

    class Stream(IterableDataset):
        def __iter__(self):
            yield from zip(x, y)

    def train(model, job):
        data = Stream() if job.settings.get("stream") else TensorDataset(x, y)
        opt = torch.optim.SGD(model.parameters(), lr=0.1)
        for a, b in job.steps(DataLoader(data, batch_size=16, num_workers=2)):
            print("row", flush=True)
            opt.zero_grad()
            torch.nn.functional.mse_loss(model(a), b).backward()
            opt.step()

    if __name__ == "__main__":
        fedmq_trainer.torch.run(lambda: torch.nn.Linear(2, 1), samples=64, train=train)
"""


def test_loader_with_workers(tmp_path):
    """A worker is forked while a thread of ours waits for the agent."""
    with Agent(tmp_path, WORKERS) as a:
        first = a.ask("init")[1]["file"].tensors
        for settings in ({}, {"stream": True}):
            for _ in range(2):
                assert a.ask("train", first, settings)[1]["file"].tensors["weight"].any()


def half(layer):
    m = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    layer(m)
    return m


def test_parameters_that_would_not_be_averaged():
    """A layer of 16 bits trains at the sites and is averaged nowhere."""
    for layer, text in (
        (lambda m: m.bfloat16(), r"0.weight \(and 3 more parameters\) is torch.bfloat16"),
        (lambda m: m[1].bfloat16(), r"1.weight \(and 1 more parameters\) is torch.bfloat16"),
        (lambda m: m.half(), "is torch.float16"),
        (lambda m: m.to(torch.complex64), "is torch.complex64"),
    ):
        m = half(layer)
        with pytest.raises(ValueError, match=text + ".*call .float\\(\\) on the module.*rules="):
            helper._trainable(m, helper._rules(m, {}))
    m = half(lambda m: m[1].bfloat16())
    helper._trainable(m, helper._rules(m, {"1.weight": "keep", "1.bias": "keep"}))
    m[1].requires_grad_(False)
    rules = helper._rules(m, {})
    helper._trainable(m, rules)
    assert rules == {"1.weight": "keep", "1.bias": "keep"}
    helper._trainable(half(lambda m: None), {})


def test_mask_of_infinities(capsys):
    m = torch.nn.Module()
    m.register_buffer("mask", torch.triu(torch.full((4, 4), float("-inf")), diagonal=1))
    m.register_buffer("scale", torch.ones(2))
    m.register_buffer("sixteen", torch.ones(2, dtype=torch.float16))
    assert helper._rules(m, {}) == {"mask": "keep", "sixteen": "keep"}
    assert "kept as they are, never averaged: mask (torch.float32), sixteen (torch.float16)" in capsys.readouterr().err
    assert helper._rules(m, {"mask": "mean"}) == {"mask": "mean", "sixteen": "keep"}
