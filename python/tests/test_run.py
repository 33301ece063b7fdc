import json
import os
import pathlib
import signal
import subprocess
import time

import numpy as np
import pytest

import fedmq_trainer as fm
from fedmq_trainer import _run

from agent import Agent

SCRIPT = """
    import sys, time
    import numpy as np
    import fedmq_trainer as fm
    print("before run", flush=True)

    def train(model, job):
        print("a loop that prints", flush=True)
        if job.settings.get("fail"):
            raise RuntimeError("no luck")
        for i in job.steps(range(3)):
            model["w"] += 1
        while job.settings.get("wait"):
            job.check()
            time.sleep(0.01)
        while job.settings.get("hang"):
            time.sleep(0.01)
        model["w"] += job.rng().normal() * job.settings.get("noise", 0) + np.random.normal() * job.settings.get("noise", 0)
        return model

    def evaluate(model, job):
        return {"n": 3, "loss": float("nan"), "round": job.round}

    fm.run(samples=lambda: 12, train=train, evaluate=evaluate, statistics=lambda job: fm.moments(np.ones((2, 2))),
           init=lambda job: {"w": np.zeros(2, np.float32), "seen": np.int64(3)}, rules={"w": "mean"})
"""
MODEL = {"w": np.zeros(2, np.float32)}


def test_conversation(tmp_path):
    with Agent(tmp_path, SCRIPT) as a:
        assert a.hello == {"type": "hello", "version": 1, "name": "fedmq_trainer", "samples": 12, "evaluate": True,
                           "statistics": True, "init": True}
        progress, answer = a.ask("train", MODEL)
        assert progress == [(0, 3), (1, 3), (2, 3)]
        assert answer["file"].tensors["w"].tolist() == [3, 3]
        assert a.ask("evaluate", MODEL)[1]["metrics"] == {"n": 3, "loss": None, "round": 3}
        assert a.ask("statistics")[1]["file"].tensors["n"].tolist() == [2, 2]
        first = a.ask("init")[1]["file"]
        assert first.rules == {"seen": "keep"} and first.tensors["seen"].shape == ()
        assert a.ask("train", MODEL, {"fail": True})[1]["message"] == "RuntimeError: no luck"
        assert a.ask("conquer")[1]["type"] == "error"
        noise = [a.ask("train", MODEL, {"noise": 1}, seed)[1]["file"].tensors["w"].tolist() for seed in ("01" * 32, "02" * 32, "01" * 32)]
        assert noise[0] == noise[2] != noise[1], "the seed is the only source of randomness"
    assert "before run" in a.stderr() and "a loop that prints" in a.stderr() and "no luck" in a.stderr()


def test_cancel(tmp_path):
    with Agent(tmp_path, SCRIPT) as a:
        a.tell({"type": "cancel", "id": 1})  # before the request is begun
        assert a.ask("train", MODEL, {"wait": True})[1]["message"] == "cancelled"
        fm.save(tmp_path / "model", MODEL)
        a.tell({"type": "train", "id": 2, "settings": {"wait": True}, "model": str(tmp_path / "model"), "out": "out"})
        assert a.hear()["type"] == "progress"
        a.tell({"type": "cancel", "id": 1})  # of another request: ignored
        a.tell({"type": "cancel", "id": 2})
        while (answer := a.hear())["type"] == "progress":
            pass
        assert answer == {"type": "error", "id": 2, "message": "cancelled"}
        a.id = 2
        assert a.ask("train", MODEL)[1]["type"] == "done"


def test_end_of_input_ends_a_busy_program(tmp_path):
    a = Agent(tmp_path, SCRIPT).__enter__()
    fm.save(tmp_path / "model", MODEL)
    a.tell({"type": "train", "id": 1, "settings": {"hang": True}, "model": str(tmp_path / "model"), "out": "out"})
    assert a.hear()["type"] == "progress"
    a.p.stdin.close()
    assert a.p.wait(timeout=20) == -signal.SIGKILL, "with the group that the agent made"
    a.p.stdout.close()
    a.errors.close()


RETURNS = """
    import numpy as np
    import fedmq_trainer as fm

    def train(m, job):
        w, how = m["w"] + 1, job.settings["how"]
        if how == "in place":
            m["w"] += 1
        elif how == "into the mapping":
            m["w"] = (w + 1).astype("float64")
        elif how == "raises":
            raise RuntimeError("no luck")
        elif how == "misuses":
            fm.classification([0], [0, 1], 2)
        else:
            return {"f64": {"w": w.astype("float64")}, "list": [w], "numbers": {"w": w.tolist()}, "integers": {"w": w.astype(int)},
                    "shape": {"w": w[None]}, "name": {"v": w}, "kind": {"w": w + 1j}, "key": {0: w}, "text": {"w": "weights"}}.get(how)

    def evaluate(m, job):
        return {"tuple": (0.5, 10, {}), "text": {"n": 3, "loss": "low"}, "none": None,
                "classes": fm.classification([0, 1], [0, 1], 2, probabilities=[0.25, 0.75]),
                "large": {"n": 10, "loss": 10**400}, "mean": {"n": 10, "accuracy": 0.9}, "many": {f"m{i}": i for i in range(300)}}[job.settings["how"]]

    fm.run(samples=4.0, train=train, evaluate=evaluate, init=lambda job: [np.zeros(2)], settings=("how",))
"""


def test_returns(tmp_path):
    """What a function returns is taken as it is meant, or refused by name without a trace."""
    with Agent(tmp_path, RETURNS) as a:
        assert a.hello["samples"] == 4 and a.hello["settings"] == ["how"]
        for how, want in {"in place": 1, "into the mapping": 2, "f64": 1, "numbers": 1, "integers": 1}.items():
            w = a.ask("train", MODEL, {"how": how})[1]["file"].tensors["w"]
            assert w.dtype == np.float32 and w.tolist() == [want, want], how
        for how, why in {
            "none": "train returned nothing and left the weights as they were: return the trained ones, by name",
            "list": 'train returned a list: want arrays by the names of their tensors, such as {"coef": array}',
            "shape": "train returned 'w' as [1, 2], want [2]", "kind": "train returned 'w' as complex64, want float32",
            "name": "train returned the tensor 'v', which is none of the global model's: w",
            "key": "train returned a mapping with the key 0: want names of tensors", "text": "train returned 'w' as [], want [2]",
        }.items():
            assert a.ask("train", MODEL, {"how": how})[1]["message"] == why
        for how, why in {
            "tuple": "evaluate returned a tuple: want sums by name, such as those of fedmq_trainer.classification or regression",
            "text": "evaluate returned 'loss' as 'low', want a number",
            "large": f"evaluate returned 'loss' as {10**400!r:.60}, want a number",
            "mean": "evaluate returned 'accuracy', which cannot be pooled: send n (rows) and correct (a sum over them),"
                    " as fedmq_trainer.classification and regression do",
            "many": "evaluate returned 300 numbers, at most 256 travel",
        }.items():
            assert a.ask("evaluate", MODEL, {"how": how})[1]["message"] == why
        assert a.ask("evaluate", MODEL, {"how": "none"})[1]["metrics"] == {}
        counted = a.ask("evaluate", MODEL, {"how": "classes"})[1]
        assert counted["confusion"] == [[1, 0], [0, 1]] and counted["metrics"]["n"] == 2
        assert [len(bins) for sides in counted["scores"] for bins in sides] == [256] * 4
        assert a.ask("init")[1]["message"].startswith("init returned a list: ")
        assert "Traceback" not in a.stderr()
        assert a.ask("train", MODEL, {"how": "raises"})[1]["message"] == "RuntimeError: no luck"
        assert a.ask("train", MODEL, {"how": "misuses"})[1]["message"] == "ValueError: 1 actual and 2 predicted classes"
    assert a.stderr().count("Traceback") == 2 and "fm.classification(" in a.stderr() and "fedmq_trainer/" not in a.stderr()


def test_cannot_start(tmp_path):
    a = Agent(tmp_path, "import fedmq_trainer as fm\nfm.progress(1, 2)\nfm.run(samples=lambda: 1.5, train=None)\n")
    p = subprocess.run(a.command, cwd=tmp_path, env=a.env, input=b'{"type":"hello","version":1}\n', capture_output=True, timeout=20, check=False)
    progress, error = map(json.loads, p.stdout.splitlines())
    assert progress == {"type": "progress", "done": 1, "total": 2} and p.returncode == 1
    assert error == {"type": "error", "message": "samples is 1.5, want a whole number of training rows"}
    assert b"Traceback" not in p.stderr


CHILDREN = """
    import subprocess, sys, time
    import numpy as np
    import fedmq_trainer as fm

    def train(m, job):
        p = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read(); print('child', flush=True); __import__('time').sleep(600)"])
        job.progress(p.pid, 1)
        while job.settings.get("hang"):
            time.sleep(0.01)
        m["w"] += 1

    fm.run(samples=1, train=train)
"""


@pytest.mark.parametrize("busy", [True, False])
def test_children_end_with_the_input(tmp_path, busy):
    """Children read nothing of ours, print nothing among messages, and end with the agent."""
    a = Agent(tmp_path, CHILDREN).__enter__()
    fm.save(tmp_path / "model", MODEL)
    a.tell({"type": "train", "id": 1, "settings": {"hang": busy}, "model": str(tmp_path / "model"), "out": str(tmp_path / "out")})
    child = a.hear()["done"]
    assert busy or a.hear() == {"type": "done", "id": 1}
    a.p.stdin.close()
    assert a.p.stdout.read() == b"" and a.p.wait(timeout=20) == (-signal.SIGKILL if busy else 0)
    deadline = time.monotonic() + 20
    while pathlib.Path(f"/proc/{child}/stat").exists() and ") Z " not in pathlib.Path(f"/proc/{child}/stat").read_text():
        assert time.monotonic() < deadline, "the child lives"
        time.sleep(0.01)
    a.p.stdout.close(), a.errors.close()


def test_per_round(tmp_path):
    a = Agent(tmp_path, SCRIPT)
    fm.save(tmp_path / "model", MODEL)

    def once(**variables):
        env = {**a.env, **{f"FEDMQ_{k}": v for k, v in variables.items()}}
        p = subprocess.run(a.command, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return p.returncode, [json.loads(line) for line in p.stdout.splitlines()]

    assert once(WORK="hello") == (0, [{"type": "hello", "version": 1, "name": "fedmq_trainer", "samples": 12, "evaluate": True,
                                       "statistics": True, "init": True}])
    request = {"MODEL": str(tmp_path / "model"), "OUT": str(tmp_path / "out"), "SEED": "00" * 32, "ROUND": "4", "ATTEMPT": "1"}
    code, lines = once(WORK="train", SETTINGS="{}", **request)
    assert code == 0 and lines[-1] == {"type": "done"} and fm.load(tmp_path / "out").tensors["w"].tolist() == [3, 3]
    assert once(WORK="evaluate", SETTINGS="{}", **request)[1] == [{"type": "done", "metrics": {"n": 3, "loss": None, "round": 4}}]
    code, lines = once(WORK="train", SETTINGS='{"fail": 1}', **request)
    assert code == 1 and lines == [{"type": "error", "message": "RuntimeError: no luck"}]


def test_request_vectors(vectors):
    for case in vectors["requests"]:
        request = json.loads(case["line"])
        assert request == case["fields"], case["id"]
        if case["fields"]["type"] in ("hello", "cancel"):
            continue
        job = _run.Job(request, lambda message: None)
        for name in ("id", "task", "member", "settings"):
            assert getattr(job, name) == case["fields"][name]
        assert job.seed.hex() == case["fields"]["seed"] and job.work == case["fields"]["type"]
        assert job.round == case["fields"].get("round", 0) and job.attempt == case["fields"].get("attempt", 0)
        assert 0 <= job.seed_int < 2**63


def test_steps():
    """Progress where the length is known; a DataLoader of an iterable dataset has none."""

    class Loader(list):
        def __len__(self):
            raise TypeError("Cannot determine the DataLoader length of a IterableDataset")

    said = []
    job = _run.Job({"type": "train", "id": 1}, said.append)
    assert list(job.steps(Loader("abc"))) == list(job.steps(c for c in "abc")) == ["a", "b", "c"] and not said
    assert list(job.steps("abc")) == ["a", "b", "c"] and len(said) == 3


def test_reply_vectors(vectors):
    checked = 0
    for case in vectors["replies"]:
        if case.get("canonical"):
            reply = dict(case["reply"])
            if "metrics" in reply:
                reply["metrics"] = {k: None if v is None else float(v) for k, v in reply["metrics"].items()}
            assert _run.encode(reply).decode() == case["line"] + "\n", case["id"]
            checked += 1
    assert checked > 8


def test_started_by_hand(tmp_path):
    """On a terminal there is no agent: say so instead of waiting."""
    pty = pytest.importorskip("pty")
    main, side = pty.openpty()
    a = Agent(tmp_path, SCRIPT)
    del a.env["FEDMQ_VERSION"]
    p = subprocess.run(a.command, cwd=tmp_path, env=a.env, stdin=side, capture_output=True, timeout=20, check=False)
    os.close(main), os.close(side)
    assert p.returncode == 1 and b"`fedmq site` starts it" in p.stderr


def test_first_model():
    """Integers are kept; what can be no mean wants a rule."""
    from fedmq_trainer import _answers

    tensors = {"w": np.zeros(2, np.float32), "big": np.zeros(2, ">f8"), "n": np.int64(3), "h": np.zeros(2, np.float16)}
    assert _answers.first(tensors, {"h": "keep"}) == {"n": "keep", "h": "keep"}
    for name, value, text in [
        ("h", np.zeros(2, np.float16), "h is float16, and what is averaged is float32 or float64"),
        ("b", np.zeros(2, fm.BF16), "b is bfloat16, and"),
        ("mask", np.array([[0, -np.inf], [0, 0]]), r"mask holds -inf at \[0, 1\].*rules={'mask': 'keep'}"),
        ("s", np.float32("nan"), r"s holds nan at \[\]"),
    ]:
        with pytest.raises(ValueError, match=text):
            _answers.first({name: value}, {})
        assert _answers.first({name: value}, {name: "keep"}) == {name: "keep"}


def test_contract():
    from fedmq_trainer import _meaning

    assert _meaning.contract(None, None) is None
    assert _meaning.contract(["a", 2], None, "y") == {"inputs": [{"name": "a"}, {"name": "2"}], "target": {"name": "y"}, "net": {"output": "identity"}}
    assert _meaning.contract(["a"], [1, 0])["target"] == {"name": "y", "classes": ["1", "0"]}
    assert _meaning.contract(["x" * 200] * 1 + [f"{i:0200}" for i in range(600)], None) is None, "too long to travel"
    for words, call in {
        "classes: want features": lambda: _meaning.contract(None, [0, 1]), "features: 'a' stands twice": lambda: _meaning.contract(["a", "a"], None),
        "want a list of names": lambda: _meaning.contract("ab", None), "features is empty": lambda: _meaning.contract([], None),
    }.items():
        with pytest.raises(ValueError, match=words):
            call()
