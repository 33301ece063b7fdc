import numpy as np
import pytest

import fedmq_trainer as fm
from fedmq_trainer import _safetensors as st


def test_vectors(vectors):
    for case in vectors["files"]:
        data = bytes.fromhex(case["hex"])
        model = st.decode(data)
        assert model.metadata == case["metadata"], case["id"]
        assert list(model.tensors) == [t["name"] for t in case["tensors"]]
        for t in case["tensors"]:
            a = model.tensors[t["name"]]
            assert st._NAMES[a.dtype] == t["dtype"] and list(a.shape) == t["shape"]
            assert a.tobytes().hex() == t["data"]
            assert model.rules.get(t["name"], "mean") == t["rule"]
        assert st.encode(model.tensors, model.rules, model.metadata) == data, case["id"]


def test_refused_vectors(vectors):
    for case in vectors["files_refused"]:
        with pytest.raises(fm.BadFile):
            st.decode(bytes.fromhex(case["hex"]))
            pytest.fail(f"{case['id']} was accepted")


def test_round_trip(tmp_path):
    rng = np.random.default_rng(1)
    tensors = {
        "big endian": rng.normal(size=(3, 2)).astype(">f4"),
        "columns first": np.asfortranarray(rng.normal(size=(4, 5))),
        "every second": rng.normal(size=20)[::2],
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.int64(-7),
    }
    path = tmp_path / "m.safetensors"
    fm.save(path, tensors, {"scalar": "keep", "empty": "mean"}, {"note": "x"})
    back = fm.load(path)
    assert back.rules == {"scalar": "keep"} and back.metadata == {"note": "x"}
    for name, a in tensors.items():
        assert np.array_equal(back.tensors[name], a) and back.tensors[name].shape == np.shape(a)
    back.tensors["every second"][0] = 1  # the caller's own


def test_refuses_to_write():
    for tensors, rules, text in [
        ({"mask": np.zeros(3, bool)}, None, "'mask' is bool"),
        ({"w": np.zeros(3)}, {"w": "sum"}, "rule 'sum'"),
        ({"w": np.zeros(3)}, {"v": "keep"}, "a rule for 'v', which is no tensor of the model: w"),
        ({"__metadata__": np.zeros(3)}, None, "the name is that of a file's metadata"),
    ]:
        with pytest.raises(ValueError, match=text):
            st.encode(tensors, rules)


def test_names_are_text():
    entry = b'{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    for name in (b"a\xff", b"a\\ud800", "a\ufffd".encode()):
        header = b'{"' + name + b'":' + entry + b"}"
        with pytest.raises(fm.BadFile):
            st.decode(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match="no UTF-8"):
        st.encode({"a\udcff": np.zeros(1, np.float32)})
