"""The command line: values of --set, and an --output that can be written to."""

import subprocess
import sys

import pytest

from harness.arguments import check_output, parse_arguments
from harness.errors import UserError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 1e-3),
        ("true", True),
        ("null", None),
        ("[0.9, 0.99]", [0.9, 0.99]),
        ("int4", "int4"),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("[" * 100_000, "[" * 100_000),
        ('"\\ud800"', '"\\ud800"'),
    ],
)
def test_a_value_is_json_or_text(text, value):
    assert parse_arguments(["x", "--set", f"a.b={text}", "--set", "c=1"]).overrides == {"a": {"b": value}, "c": 1}


def test_what_is_not_utf_8_cannot_be_recorded(capsys):
    with pytest.raises(SystemExit) as caught:
        parse_arguments(["x", "--set", "query_template=\udcff{query}"])
    assert caught.value.code == 2
    assert "expected UTF-8" in capsys.readouterr().err


def test_an_output_that_can_be_written_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert check_output(tmp_path / "new" / "folder") == tmp_path / "new" / "folder"
    assert check_output(type(tmp_path)("relative")) == tmp_path / "relative"
    assert check_output(type(tmp_path)("~/results")) == tmp_path / "home" / "results"
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*")) if not any(path.iterdir())] == [
        "home/results/runs", "new/folder/runs", "relative/runs"
    ], "only the folder runs/, which every run needs"  # fmt: skip


def test_an_output_that_cannot(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for name in ("runs", "results"):
        (tmp_path / f"with-file-{name}").mkdir()
        (tmp_path / f"with-file-{name}" / name).touch()
    long = "/".join(["x" * 200] * 30)
    for name in ("file", "file/below", "loop", "x" * 300, long, "with-file-runs", "with-file-results"):
        with pytest.raises(UserError, match="^--output: .*cannot be written to"):
            check_output(tmp_path / name)
    with pytest.raises(UserError, match="^--output: /proc/x: cannot be written to"):
        check_output(type(tmp_path)("/proc/x"))


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0, reason="needs unshare, to mount"
)
@pytest.mark.parametrize(
    ("option", "reason"), [("ro", "Read-only file system"), ("size=4k", "No space left on device")]
)
def test_a_disk_that_is_read_only_or_full(tmp_path, option, reason):
    code = ("from pathlib import Path; from harness.arguments import check_output\n"
            f"try: check_output(Path({str(tmp_path)!r}))\nexcept Exception as error: print(type(error).__name__, error)")  # fmt: skip
    mount = f'mount -t tmpfs -o {option} none {tmp_path}; head -c 9999 /dev/zero >{tmp_path}/filling; exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mount, "-", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("UserError --output: "), done.stderr
    assert reason in done.stdout
