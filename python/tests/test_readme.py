"""The minimal example of README.md, as it stands there."""

import pathlib
import re

import numpy as np

from agent import Agent

README = pathlib.Path(__file__).resolve().parents[1] / "README.md"


def test_the_least_there_is(tmp_path):
    script = next(b for b in re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S) if "rows.csv" in b)
    x = np.linspace(-1, 1, 50)
    np.savetxt(tmp_path / "rows.csv", np.column_stack([x, 3 * x + 1]), delimiter=",", header="x,y", comments="")
    with Agent(tmp_path, script) as a:
        assert a.hello["samples"] == 50 and a.hello["settings"] == ["lr"]
        model = a.ask("init")[1]["file"].tensors
        for _ in range(5):
            progress, answer = a.ask("train", model, {"lr": 0.3})
            assert answer["type"] == "done", answer
            model = answer["file"].tensors
        assert len(progress) == 100 and abs(model["slope"][0] - 3) < 1e-3 and abs(model["offset"][0] - 1) < 1e-3
        sums = a.ask("evaluate", model)[1]["metrics"]
        assert sums["n"] == 50 and sums["se"] < 1e-3
