"""The lines of docs/spec/wire.md that recompute a content id (W-25), held against the vectors of the Go tests."""

import json
import re

from conftest import ROOT


def vectors():
    for path in sorted((ROOT / "testdata/vectors/wire").glob("content-*.txt")):
        head, _, text = path.read_text(encoding="utf-8").partition("\n\n")
        fields = dict(line.split(": ", 1) for line in head.splitlines())
        yield bytes.fromhex("".join(text.split())), json.loads(fields["fields"])


def test_the_lines_of_the_spec():
    spec = (ROOT / "docs/spec/wire.md").read_text(encoding="utf-8")
    lines = re.search(r"```python\n(.*?def content_id.*?)```", spec, re.S).group(1)
    scope = {}
    exec(lines, scope)
    seen = 0
    for data, want in vectors():
        assert len(data) == want["bytes"]
        assert scope["content_id"](data) == want["content"]
        seen += 1
    assert seen == 4
