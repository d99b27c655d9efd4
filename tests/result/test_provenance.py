"""What the system tells of its processor, and fingerprints."""

import platform
from pathlib import Path

import pytest

from harness.result import provenance
from harness.result.provenance import cpu_slug, file_fingerprint, fingerprint, processor, slug

AMD = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nstepping\t: 1\n\nprocessor\t: 1\nmodel\t: 99\n"
XEON = "model name\t: Intel(R) Xeon(R) Processor @ 2.30GHz\ncpu family\t: 6\nmodel\t\t: 143\nstepping\t: unknown\n"
ARM = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"


@pytest.fixture
def cpuinfo(monkeypatch):
    """Replaces what /proc/cpuinfo says; None where there is no such file."""

    def replace(text):
        class Fake(type(Path())):
            def read_text(self, **_):
                if text is None:
                    raise FileNotFoundError(str(self))
                return text

        monkeypatch.setattr(provenance, "Path", Fake)

    return replace


def test_processors_as_linux_tells_them(cpuinfo, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    cpuinfo(AMD)
    assert processor() == {"name": "AMD EPYC", "family": 25, "model": 17, "stepping": 1}
    cpuinfo(XEON)
    assert processor() == {"name": "Intel(R) Xeon(R) Processor @ 2.30GHz", "family": 6, "model": 143, "stepping": None}
    cpuinfo(ARM)
    unknown = {"family": None, "model": None, "stepping": None}
    assert processor() == {"name": "aarch64 implementer 0x41 part 0xd0c", **unknown}
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    monkeypatch.setattr(platform, "processor", lambda: "")
    cpuinfo(None)
    assert processor() == {"name": "aarch64", **unknown}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AMD EPYC", "cpu-amd-epyc"),
        ("AMD EPYC 9354 32-Core Processor", "cpu-amd-epyc-9354"),
        ("Intel(R) Xeon(R) Processor @ 2.30GHz", "cpu-intel-xeon-processor"),
        ("Intel(R) Xeon(R) Platinum 8488C", "cpu-intel-xeon-platinum-8488c"),
        ("12th Gen Intel(R) Core(TM) i7-1260P CPU", "cpu-12th-gen-intel-core-i7-1260p"),
        ("Apple M2 Pro", "cpu-apple-m2-pro"),
        ("", "cpu-unknown"),
    ],
)
def test_slugs_name_the_processor(name, expected):
    assert cpu_slug(name) == expected


def test_fingerprints():
    assert slug("NVIDIA L40S") == "nvidia-l40s"
    assert fingerprint([{"a": 1, "b": 2}]) == fingerprint([{"b": 2, "a": 1}]) != fingerprint([{"a": 1}, {"b": 2}])


def test_the_fingerprint_of_a_file_is_of_its_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert file_fingerprint(tmp_path / "file") == known
