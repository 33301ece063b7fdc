"""Rows of a CSV file through an ONNX file of `fedmq model export`: python predict.py boiler.onnx rows.csv

Needs onnxruntime alone; with fedmq_trainer two lines do the same (README.md).
"""
import csv
import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
with open(sys.argv[2], newline="", encoding="utf-8") as f:
    rows = list(csv.DictReader(f))

columns = {}
for i in session.get_inputs():
    cells = [row[i.name].strip() for row in rows]
    texts = i.type == "tensor(string)"
    columns[i.name] = np.array(cells if texts else [float(c) if c else np.nan for c in cells], dtype=object if texts else float)[:, None]

for line in session.run(None, columns)[0].ravel():
    print(line)
