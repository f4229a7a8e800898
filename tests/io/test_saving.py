"""State goes to a file and comes back, whatever happens on the way."""

import importlib.util
import json
import os
import random
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import retrograd as rg
from golden import HERE, decode
from golden import flat as flat_outputs

# npz needs NumPy alone; the other kind is tested where its package is installed
KIND = [
    ".npz",
    pytest.param(
        ".safetensors",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("safetensors") is None,
            reason="safetensors is not installed",
        ),
    ),
]
DTYPES = [np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8, np.bool_]


@pytest.fixture(params=KIND)
def path(request, tmp_path):
    return tmp_path / f"state{request.param}"


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif isinstance(one, np.ndarray | np.generic):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()
    elif isinstance(one, np.random.Generator):
        assert_same(one.bit_generator.state, other.bit_generator.state)
    else:
        assert repr(one) == repr(other)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(DTYPES).flatmap(
        lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, min_side=0))
    )
    | st.sampled_from(DTYPES).flatmap(
        lambda dtype: arrays_of.arrays(dtype, ()).map(lambda a: a[()])
    )
)
keys = st.text(st.characters(exclude_characters="\0"), max_size=4) | st.integers()
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", KIND)
@given(state=trees)
def test_what_is_saved_is_what_is_loaded(kind, state, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"any{kind}"
    rg.save(state, path)
    if isinstance(state, dict) and kind == ".safetensors" and flat(state):
        state = {name: state[name] for name in rg.load(path)}  # these files sort their names
    assert_same(rg.load(path), state)


def flat(state):
    return all(isinstance(k, str) and isinstance(v, np.ndarray) for k, v in state.items())


def test_arrays_of_every_layout_come_back_with_their_values(path):
    base = np.arange(24.0).reshape(2, 3, 4)
    state = {
        "transposed": base.T,
        "strided": base[:, ::2, ::-1],
        "fortran": np.asfortranarray(base),
        "broadcast": np.broadcast_to(np.arange(3.0), (2, 3)),
        "swapped": base.astype(base.dtype.newbyteorder()),
        "frozen": np.frombuffer(b"12345678"),
        "number": np.array(2.5),
        "none": np.zeros((0, 3)),
        "tensor": rg.Tensor([1.0, 2.0], requires_grad=True),
    }
    rg.save(state, path)
    loaded = rg.load(path)
    assert set(loaded) == set(state)
    for name, value in state.items():
        np.testing.assert_array_equal(loaded[name], np.asarray(getattr(value, "_array", value)))
        loaded[name][...] = 0  # what comes back can be written
        assert loaded[name].dtype.isnative


def test_a_model_an_optimizer_a_schedule_and_a_generator_go_on_from_a_file(path):
    def parts():
        model = rg.nn.Sequential(rg.nn.Linear(3, 2), rg.nn.Dropout(0.5), rg.nn.Linear(2, 1))
        optimizer = rg.optim.Adam(model.parameters(), amsgrad=True)
        return model, optimizer, rg.optim.lr_scheduler.StepLR(optimizer, 2)

    def train(model, optimizer, schedule, rng, steps):
        for _ in range(steps):
            x = rng.standard_normal((4, 3))
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()
            schedule.step()
        return [p.data.copy() for p in model.parameters()]

    rg.manual_seed(0)
    model, optimizer, schedule = parts()
    rng = np.random.default_rng(1)
    train(model, optimizer, schedule, rng, 3)
    rg.save(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "rng": rng,
            "default": rg.random.generator(),
        },
        path,
    )
    expected = train(model, optimizer, schedule, rng, 3)

    rg.manual_seed(2)
    model, optimizer, schedule = parts()
    loaded = rg.load(path)
    model.load_state_dict(loaded["model"])
    optimizer.load_state_dict(loaded["optimizer"])
    schedule.load_state_dict(loaded["schedule"])
    rg.random.generator().bit_generator.state = loaded["default"].bit_generator.state
    found = train(model, optimizer, schedule, loaded["rng"], 3)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_generators_of_every_kind_go_on(name, path):
    rng = np.random.Generator(getattr(np.random, name)(5))
    rng.random(3)
    rg.save([rng], path)
    (again,) = rg.load(path)
    np.testing.assert_array_equal(rng.random(700), again.random(700))


def test_other_programs_open_a_file_of_weights(tmp_path):
    state = rg.nn.Linear(3, 2).state_dict()
    rg.save(state, tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as found:
        assert_same({name: found[name] for name in found.files}, state)
    package = pytest.importorskip("safetensors.numpy")
    rg.save(state, tmp_path / "w.safetensors")
    found = package.load_file(tmp_path / "w.safetensors")
    assert_same({name: found[name] for name in state}, state)


def test_files_of_other_programs_are_opened(tmp_path):
    state = {"a": np.arange(3.0), "b.c": np.asfortranarray(np.ones((2, 3), np.float32))}
    np.savez(tmp_path / "w.npz", **state)
    for name, value in rg.load(tmp_path / "w.npz").items():
        np.testing.assert_array_equal(value, state[name])
    package = pytest.importorskip("safetensors.numpy")
    package.save_file({"a": state["a"]}, tmp_path / "w.safetensors")
    np.testing.assert_array_equal(rg.load(tmp_path / "w.safetensors")["a"], state["a"])


def test_the_same_state_gives_the_same_bytes(path):
    state = {"a": np.arange(3.0), "n": {"lr": 0.1}}
    rg.save(state, path)
    first = path.read_bytes()
    rg.save(state, path)
    assert path.read_bytes() == first


# --- PyTorch's weights, there and back -----------------------------------------------------------

WEIGHTS = HERE / "weights"
NETS = json.loads((WEIGHTS / "nets.json").read_text())


@pytest.mark.parametrize("name", NETS)
def test_weights_that_pytorch_saved_give_its_outputs(name):
    pytest.importorskip("safetensors")
    case = NETS[name]
    model = decode(case["net"]).to(np.float32).eval()
    model.load_state_dict(rg.load(WEIGHTS / f"{name}.safetensors"))
    outputs = flat_outputs(model(decode(case["input"]).astype(np.float32)))
    for output, expected in zip(outputs, decode(case["outputs"]), strict=True):
        assert output.dtype == np.float32
        np.testing.assert_allclose(output.data, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NETS)
def test_weights_saved_here_are_those_that_pytorch_saved(name, tmp_path):
    package = pytest.importorskip("safetensors.numpy")
    theirs = WEIGHTS / f"{name}.safetensors"
    model = decode(NETS[name]["net"]).to(np.float32)
    model.load_state_dict(rg.load(theirs))
    rg.save(model.state_dict(), tmp_path / "ours.safetensors")
    theirs, ours = package.load_file(theirs), package.load_file(tmp_path / "ours.safetensors")
    assert_same({key: ours[key] for key in sorted(ours)}, {k: theirs[k] for k in sorted(theirs)})


# --- what is refused when saving -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ({"a": [1, object()]}, r"state\['a'\]\[1\] is a object"),
        ({"m": rg.nn.Linear(1, 1)}, r"state\['m'\] is a Linear.*state_dict\(\)"),
        ({"a": np.array([None])}, r"state\['a'\] is an array of object"),
        ({"a": [np.array("x")]}, r"state\['a'\]\[0\] is an array of <U1"),
        ({"a": np.array(1j, np.clongdouble)}, "clongdouble|complex256"),
        ({(1, 2): 3}, r"the key \(1, 2\)"),
        ({"a": {1.5: 0}}, r"state\['a'\] has the key 1.5"),
        (print, "state is a builtin"),
    ],
)
def test_what_cannot_be_saved_is_named_and_the_old_file_stays(state, place, path):
    rg.save({"a": np.ones(2)}, path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match=place):
        rg.save(state, path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_names_that_a_kind_of_file_cannot_have_are_refused(tmp_path):
    with pytest.raises(ValueError, match="zero byte"):
        rg.save({"a\0b": np.zeros(2)}, tmp_path / "w.npz")
    pytest.importorskip("safetensors")
    with pytest.raises(ValueError, match="__metadata__"):
        rg.save({"__metadata__": np.zeros(2)}, tmp_path / "w.safetensors")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["state.pt", "state", "state.npy"])
def test_other_endings_are_refused(name, tmp_path):
    for call in (lambda p: rg.save({}, p), rg.load):
        with pytest.raises(ValueError, match=r"\.npz or \.safetensors"):
            call(tmp_path / name)


def test_a_missing_file_or_folder_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        rg.load(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError):
        rg.save({}, tmp_path / "none" / "state.npz")


# --- files that are not what they seem -----------------------------------------------------------


def test_a_file_that_is_cut_off_anywhere_is_an_error(path):
    rg.save({"a": np.arange(4.0), "b": {"c": [np.arange(3)]}}, path)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="cannot be read"):
            rg.load(path)


def test_a_byte_that_flips_is_an_error_or_changes_nothing(path):
    state = {"a": np.arange(4.0), "b": {"c": [np.arange(3)], "lr": 0.1}}
    rg.save(state, path)
    content = path.read_bytes()
    rng = random.Random(0)
    # without the key of its note a file of tensors is like another program's
    key = content.find(b'"__metadata__') if path.suffix == ".safetensors" else len(content)
    for at in (*range(0, key, 3), *range(key + 35, len(content), 3)):
        broken = bytearray(content)
        broken[at] ^= 1 << rng.randrange(8)
        path.write_bytes(broken)
        try:
            loaded = rg.load(path)
        except (ValueError, OSError):
            continue
        assert_same(loaded, state)  # dates and the like


# --- a file is replaced as a whole ---------------------------------------------------------------

WRITER = """
import sys
import numpy as np
import retrograd as rg
path, size = sys.argv[1], int(sys.argv[2])
for count in range(1, 1_000_000):
    rg.save({"count": count, "values": np.full(size, float(count))}, path)
    print(count, flush=True)
"""


def test_a_process_killed_while_it_saves_leaves_the_old_file_or_the_new_one(path):
    rg.save({"count": 0, "values": np.zeros(3)}, path)
    rng = random.Random(0)
    environment = os.environ | {"PYTHONPATH": str(Path(rg.__file__).parents[1])}
    for size in (10, 100_000, 1_000_000):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(size)],
            stdout=subprocess.PIPE,
            env=environment,
        ) as process:
            done = 0
            for _ in range(rng.randrange(1, 6)):
                done = int(process.stdout.readline())
            # a moment of work here is a moment somewhere in the middle of a save there
            sum(range(rng.randrange(1, 300_000)))
            process.send_signal(signal.SIGKILL)
            done = max([done, *map(int, process.stdout.read().split())])
        loaded = rg.load(path)
        assert loaded["count"] in (done, done + 1)
        np.testing.assert_array_equal(loaded["values"], np.full(size, float(loaded["count"])))


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_save_that_fails_leaves_what_was_there_and_no_part(step, path, monkeypatch):
    rg.save({"a": np.zeros(2)}, path)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("No space left on device")

    if step == "write":
        monkeypatch.setattr(zipfile.ZipFile, "open", fail)
        if path.suffix == ".safetensors":
            monkeypatch.setattr("safetensors.numpy.save", fail)
    else:
        monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        rg.save({"a": np.ones(2)}, path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_the_file_and_then_its_folder_are_flushed_around_the_rename(path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(handle):
        kind = os.fstat(handle).st_mode
        events.append("folder" if stat.S_ISDIR(kind) else "file")
        fsync(handle)

    def note_replace(*args):
        events.append("rename")
        replace(*args)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    rg.save({"a": np.zeros(2)}, path)
    assert events == ["file", "rename", "folder"]


def test_a_link_and_the_permissions_stay(path):
    target = path.with_name("target" + path.suffix)
    rg.save({"a": np.zeros(2)}, target)
    target.chmod(0o600)
    path.symlink_to(target.name)
    rg.save({"a": np.ones(2)}, path)
    assert path.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert rg.load(target)["a"].tolist() == [1.0, 1.0]
