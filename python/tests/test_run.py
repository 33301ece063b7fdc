import json
import os
import subprocess

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
    assert a.p.wait(timeout=20) == 1
    a.p.stdout.close()
    a.errors.close()


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
