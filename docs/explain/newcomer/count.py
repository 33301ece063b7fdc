"""Counts what a user writes to federate digits.py, and for rows of one's own: python3 count.py

A statement is what Python's tokenizer ends with NEWLINE: comments, empty lines
docstrings and the breaks inside of brackets do not count, so layout does not
matter. Configuration counts in lines that are neither empty nor comments.
"""
import pathlib
import tokenize

HERE = pathlib.Path(__file__).parent
OWN = ["own/plant.py", "own/compare.py", "own/predict.py"]  # for both: nothing in them knows of either
DIGITS = {
    "fedmq": (["fedmq/train.py"], []),
    "NVFlare": (["nvflare/client.py", "nvflare/job.py"], []),
    "Flower": (["flower/app/client_app.py", "flower/app/server_app.py"], ["flower/pyproject.toml", "flower/config.toml"]),
}

ROWS = {
    "fedmq": ([], ["own/edited.yaml"]),
    "NVFlare": (OWN + ["own/nvflare/client.py", "own/nvflare/job.py"], []),
    "Flower": (OWN + ["own/flower/app/client_app.py", "own/flower/app/server_app.py"], ["own/flower/pyproject.toml"]),
}


LAYOUT = (tokenize.ENCODING, tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT)


def statements(path):
    """All statements of a file, and those that are no imports."""
    every, own, first = 0, 0, None  # first: the token that a statement begins with
    with open(HERE / path, "rb") as f:
        for token in tokenize.tokenize(f.readline):
            if token.type == tokenize.NEWLINE:
                every += first.type != tokenize.STRING
                own += first.type != tokenize.STRING and first.string not in ("import", "from")
                first = None
            elif first is None and token.type not in LAYOUT:
                first = token
    return every, own


def lines(path):
    text = (HERE / path).read_text().splitlines()
    return sum(1 for line in text if line.strip() and not line.lstrip().startswith("#"))


def table(title, of):
    print(f"{title:12} {'files':>6} {'statements':>11} {'without imports':>16} {'lines':>6} {'configuration':>14}")
    for name, (code, config) in of.items():
        every, own = (sum(n) for n in zip((0, 0), *map(statements, code)))
        print(f"{name:12} {len(code + config):>6} {every:>11} {own:>16} {sum(map(lines, code)):>6} {sum(map(lines, config)):>14}")


table("digits.py", DIGITS)
table("rows of own", ROWS)
