"""An agent for tests: it starts a script and talks to it."""

import json
import os
import pathlib
import subprocess
import sys
import textwrap

import fedmq_trainer as fm

PACKAGE = pathlib.Path(fm.__file__).resolve().parents[1]


class Agent:
    def __init__(self, tmp_path, script, *args, env=None):
        self.dir = tmp_path
        (tmp_path / "train.py").write_text(textwrap.dedent(script), encoding="utf-8")
        self.env = {**os.environ, "PYTHONPATH": str(PACKAGE), "FEDMQ_VERSION": "1", **(env or {})}
        self.command = [sys.executable, "train.py", *args]
        self.id = 0

    def __enter__(self):
        self.errors = open(self.dir / "stderr", "wb")
        self.p = subprocess.Popen(self.command, cwd=self.dir, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=self.errors, start_new_session=True)
        self.tell({"type": "hello", "version": 1, "task": "t", "member": "a/b", "group": self.p.pid, "later": "unknown members are ignored"})
        self.hello = self.hear()
        return self

    def __exit__(self, *exc):
        self.p.stdin.close()
        rest = self.p.stdout.read()
        code = self.p.wait(timeout=20)
        self.errors.close()
        if exc == (None, None, None):
            assert (code, rest) == (0, b""), self.stderr()

    def stderr(self):
        return (self.dir / "stderr").read_text()

    def tell(self, message):
        self.p.stdin.write(json.dumps(message).encode() + b"\n")
        self.p.stdin.flush()

    def hear(self):
        line = self.p.stdout.readline()
        assert line, self.stderr()
        return json.loads(line)

    def ask(self, kind, model=None, settings=None, seed="09" * 32, rules=None, correction=None, **more):
        """Make a request; returns progress, the answer and the tensors at out."""
        self.id += 1
        request = {"type": kind, "id": self.id, "task": "t", "member": "a/b", "round": 3, "attempt": 1, "seed": seed,
                   "settings": settings or {}, "out": str(self.dir / "out")}
        if model is not None:
            request["model"] = str(self.dir / "model")
            fm.save(request["model"], model, rules)
        if correction is not None:
            request["correction"] = str(self.dir / "correction")
            fm.save(request["correction"], correction)
        request.update(more)
        self.tell(request)
        progress = []
        while (answer := self.hear())["type"] == "progress":
            progress.append((answer["done"], answer["total"]))
        assert answer.get("id") == self.id
        out = self.dir / "out"
        if answer["type"] == "done" and out.exists():
            answer["file"] = fm.load(out)
            out.unlink()
        return progress, answer
