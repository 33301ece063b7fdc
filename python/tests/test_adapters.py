"""examples/adapters, as its README runs it: from the second round on only what learns travels."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: TORCH=1 make test-python installs it")
FEDMQ = os.environ.get("FEDMQ_PROGRAM")
if not FEDMQ:
    pytest.skip("FEDMQ_PROGRAM is not set", allow_module_level=True)

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_adapters(tmp_path):
    shutil.copytree(ROOT / "examples/adapters", tmp_path / "adapters", ignore=shutil.ignore_patterns("state", "*.safetensors"))
    shutil.copytree(ROOT / "examples/digits/data", tmp_path / "digits/data")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    for f in (tmp_path / "adapters").glob("*.yaml"):
        f.write_text(f.read_text().replace(":1883", f":{port}"))
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1", "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(*args):
        p = subprocess.run([sys.executable, *args], cwd=tmp_path / "adapters", env=env, capture_output=True, text=True, timeout=300)
        assert p.returncode == 0, p.stdout + p.stderr
        return p.stdout

    run("base.py", "../digits/data/north.csv.gz")
    model = (tmp_path / "adapters/init.safetensors").stat().st_size
    rows = [line.replace(",", "").split() for line in run("bytes.py", FEDMQ).splitlines() if re.match(r" +\d+ ", line)]
    down, up = [[int(n) for n in r[1:3]] for r in rows], [int(r[3]) for r in rows]
    assert len(rows) == 10 and min(down[0]) > 0.98 * model, rows
    assert all(sum(d[site] for d in down[1:]) < 9 * 0.15 * model for site in (0, 1)), rows
    assert max(up) < 2 * 0.07 * model, rows
    assert float(rows[-1][4]) > float(rows[0][4]) + 0.1, rows
