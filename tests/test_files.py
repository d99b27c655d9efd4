"""Small files of strangers: only plain files are opened, and strict JSON comes out or one line that names the file."""

import contextlib
import os
import signal
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.experiment import read_experiment
from harness.files import check_plain, parse_json, read_json

FILES = {
    "adapter": "experiments/lora/made-by-test/adapter_config.json",
    "params": "experiments/lora/made-by-test/training_params.json",
    "defaults": "default_training_params.json",
    "preset": "presets/embedded.json",
}


@contextlib.contextmanager
def seconds(limit):
    """An answer within so many seconds, or an error instead of waiting for ever."""

    def give_up(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(limit)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def make_folder(path):
    path.mkdir()


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    os.chdir(path.parent)  # the whole path is too long for a socket
    socket.socket(socket.AF_UNIX).bind(path.name)


def make_dangling(path):
    path.symlink_to("nowhere.json")


def make_loop(path):
    path.symlink_to(path.name)


def make_device(path):
    path.symlink_to("/dev/zero")


STRANGE = {
    make_folder: "expected a plain file, found a folder",
    make_pipe: "expected a plain file, found a named pipe",
    make_socket: "expected a plain file, found a socket",
    make_device: "expected a plain file, found a device",
    make_dangling: "is a link that leads nowhere",
    make_loop: "cannot be read: Too many levels of symbolic links",
}


@pytest.mark.parametrize("make", STRANGE)
@pytest.mark.parametrize("file", FILES)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_what_is_no_plain_file_is_an_error_and_never_absent(file, make, write_experiment, monkeypatch):
    monkeypatch.chdir(".")
    folder = write_experiment({"peft_type": "LORA", "r": 4}, {"profile": "embedded"})
    path = folder.parents[2] / FILES[file]
    path.unlink()
    make(path)
    with seconds(10), pytest.raises(UserError) as caught:
        read_experiment(folder)
    assert str(caught.value).startswith(f"{path}: {STRANGE[make]}")


def test_full_finetuning_beside_a_link_that_leads_nowhere(write_experiment):
    folder = write_experiment(None, {"profile": "embedded", "full_finetuning": True})
    (folder / "adapter_config.json").symlink_to("nowhere.json")
    with pytest.raises(UserError, match="delete this file or the key full_finetuning"):
        read_experiment(folder)


def test_a_plain_file_passes_and_a_missing_one_is_said_to_be_missing(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(UserError, match="a.json: missing"):
        check_plain(path)
    path.write_text('{"a": [1, 2.5, "\\u00e9\\ud83d\\ude00", null, true]}')
    assert read_json(path) == {"a": [1, 2.5, "é😀", None, True]}
    (tmp_path / "b.json").symlink_to("a.json")
    assert read_json(tmp_path / "b.json") == read_json(path), "a link within the folder is fine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": Infinity}', "Infinity is not a JSON number"),
        ('{"a": 9223372036854775808}', "9223372036854775808 is too large"),
        ('{"a": -1e400}', "-1e400 is too large"),
        ('{"a": {"b": 1, "b": 2}}', "b: given twice; keep one"),
        ('{"a": "\udc00"}', "half of a surrogate pair"),
        ('{"\\ud800": 1}', "half of a surrogate pair"),
        ("[" * 500 + "]" * 500, "nested more than 20 deep"),
        ('{"a": 1', "line 1, column 8: not JSON"),
        ("", "not JSON"),
    ],
)
def test_json_that_python_would_take(text, message):
    with pytest.raises(UserError, match="^file: ") as caught:
        parse_json(text, "file")
    assert message in str(caught.value)


@given(st.text())
def test_any_text_is_parsed_or_refused(text):
    with contextlib.suppress(UserError):
        parse_json(text, "file")


@pytest.mark.parametrize("content", [b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"{\x00}"])
def test_what_is_no_utf_8_json_is_named(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="a.json: .*not JSON"):
        read_json(path)
