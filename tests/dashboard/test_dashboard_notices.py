"""What a reader is told before comparing the rows that are shown."""

import pytest
from result_files import answers, experiments_of, ours, published, seeds_of

from harness.dashboard.notices import notices


def test_nothing_to_say_of_one_clean_group(tmp_path):
    assert notices(experiments_of(tmp_path, *seeds_of("lora/a", (20, 22)), *seeds_of("lora/b", (20, 25)))) == []


SAID = {
    "protocol": ({"protocol": 2}, "Protocols 1 and 2 are mixed"),
    "hardware": ({"hardware.slug": "nvidia-l40s"}, "cpu-x86-64 and nvidia-l40s"),
    "model": ({"run_info.train_config.model_id": "embedded/t5"}, "Base models are mixed"),
    "metric": ({"task.metric": "ROUGE-L"}, "different metrics"),
    "data": ({"provenance.data_fingerprint": "e" * 64}, "MetaMathQA has results of different versions"),
    "torch": ({"meta_info.package_info": {"torch-version": "3.0.1"}}, "Major versions of libraries are mixed (torch 2, peft 0.21 and torch 3)"),
    "peft": ({"meta_info.package_info": {"peft-version": "0.22.0"}}, "Major versions of libraries are mixed (peft 0.22 and torch 2, peft 0.21)"),
    "shared": ({"provenance.shared_device": True}, "1 row is measured while another process used the same GPU"),
    "failed": ({"train_info.status": "diverged"}, "Runs without success are shown, not ranked: 1 diverged"),
    "profile": ({"profile": True}, "1 row is of profiles"),
    "modified": ({"overrides": {"max_steps": 3}}, "1 row is with parameters changed"),
}  # fmt: skip


@pytest.mark.parametrize("what", SAID)
def test_notices_name_what_is_mixed(tmp_path, what):
    changes, said = SAID[what]
    found = notices(experiments_of(tmp_path, *seeds_of("lora/a", (20, 22)), ours("lora/b", 0, answers(20), **changes)))
    assert len(found) == 1
    assert said in found[0]


def test_seeds_on_other_processors_are_rows_of_their_own_and_said(tmp_path):
    processors = [{"slug": "cpu-amd-epyc", "cpu": "EPYC", "threads": threads} for threads in (1, 2)]
    results = [ours("lora/a", seed, answers(20), hardware=one) for seed, one in enumerate(processors)]
    frame = experiments_of(tmp_path, *results)
    assert sorted(frame["processor"]) == ["EPYC, 1 thread", "EPYC, 2 threads"]
    said = "Processors or threads are mixed (EPYC, 1 thread and EPYC, 2 threads): scores are ranked together, "
    assert notices(frame) == [f"{said}but memory and speed are not comparable."]
    alike = experiments_of(tmp_path / "alike", *(one | {"hardware": processors[0]} for one in results))
    assert (alike["processor"].tolist(), notices(alike)) == (["EPYC, 1 thread"], [])


def test_notice_of_profiles_of_different_hardware(tmp_path):
    profiles = [
        ours("lora/a", 0, (), profile=True, **{"hardware.slug": slug}) for slug in ("nvidia-l40s", "nvidia-h100")
    ]
    assert "Hardware is mixed (nvidia-h100 and nvidia-l40s)" in notices(experiments_of(tmp_path, *profiles))[0]


def test_notice_of_foreign_results(tmp_path):
    found = notices(experiments_of(tmp_path, ours(), published()))
    assert any("never ranked with ours" in line for line in found)
