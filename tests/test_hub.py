"""The real path: the unmodified flagship experiment against a hub on 127.0.0.1, and each way a hub can fail."""

import io
import json
import shutil
import subprocess
import sys

import datasets
import pandas
import pytest
import torch
from conftest import Outcome
from hub import CREATED_AT, Hub, Repo, environment, parquet_repo
from safetensors.torch import save
from transformers import LlamaConfig, LlamaForCausalLM

from harness.embedded.text.word_problems import make_problems
from harness.experiment import ROOT, read_experiment
from harness.measure import forgetting
from harness.result.schema import Result
from harness.task import load_task

TASK = load_task(ROOT / "method_comparison" / "MetaMathQA")
FLAGSHIP = "experiments/lora/llama-3.2-3B-rank32"
PARAMS = read_experiment(ROOT / "method_comparison" / "MetaMathQA" / FLAGSHIP).params
STEPS = [word for setting in ("max_steps=4", "eval_steps=2", "valid_samples=4", "generation_kwargs.max_new_tokens=8")
         for word in ("--set", setting)]  # fmt: skip


def tiny_llama() -> Repo:
    """A random Llama of two layers in the files of the real repository, with the embedded model's tokenizer."""
    torch.manual_seed(0)
    embedded = ROOT / "harness" / "embedded" / "llama"
    vocabulary = json.loads((embedded / "config.json").read_text())["vocab_size"]
    config = LlamaConfig(vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, intermediate_size=64, tie_word_embeddings=True, eos_token_id=0,
                         bos_token_id=None, architectures=["LlamaForCausalLM"], dtype="bfloat16")  # fmt: skip
    weights = {name: tensor for name, tensor in LlamaForCausalLM(config).bfloat16().state_dict().items()
               if name != "lm_head.weight"}  # fmt: skip
    files = {"config.json": config.to_json_string().encode(),
             "generation_config.json": b'{"do_sample": true, "temperature": 0.6, "top_p": 0.9}',
             "model.safetensors": save(weights, metadata={"format": "pt"})}  # fmt: skip
    files |= {name: (embedded / name).read_bytes() for name in ("tokenizer.json", "tokenizer_config.json")}
    return Repo("models", PARAMS.model_id, PARAMS.model_revision, files)


def metamath() -> Repo:
    """Three hundred rows in MetaMathQA's one JSON file."""
    rows = [{"type": "GSM_Rephrased", "query": problem.question, "original_question": problem.question,
             "response": f"{problem.solution}\nThe answer is: {problem.answer}"}
            for problem in make_problems("train", 300)]  # fmt: skip
    pinned = TASK.datasets["train"]
    return Repo("datasets", pinned.repo_id, pinned.revision,
                {"MetaMathQA-395K.json": json.dumps(rows).encode(), "README.md": b"---\nlicense: mit\n---\n"})  # fmt: skip


def gsm8k() -> Repo:
    """GSM8K's parquet files and the card that declares its configurations."""
    rows = [{"question": problem.question, "answer": f"{problem.solution}\n#### {int(problem.answer):,}"}
            for problem in make_problems("test", 8)]  # fmt: skip
    buffer = io.BytesIO()
    pandas.DataFrame(rows).to_parquet(buffer)
    card = "---\nconfigs:\n" + "".join(
        f"- config_name: {config}\n  data_files:\n  - split: train\n    path: {config}/train-*\n"
        f"  - split: test\n    path: {config}/test-*\n"
        for config in ("main", "socratic")
    ) + "---\n"  # fmt: skip
    files = {f"{config}/{split}-00000-of-00001.parquet": buffer.getvalue()
             for config in ("main", "socratic") for split in ("train", "test")}  # fmt: skip
    pinned = TASK.datasets["test"]
    return Repo("datasets", pinned.repo_id, pinned.revision, files | {"README.md": card.encode()})


def wikitext() -> Repo:
    """Titles and paragraphs, as the real one has them in rows of their own."""
    lines = [f" = Title {number} = \n" for number in range(5)]
    lines += [
        "",
        *(f" The {number}th paragraph says that twelve apples cost four dollars . " * 8 for number in range(6)),
    ]
    pinned = forgetting.WIKITEXT
    return parquet_repo(pinned.repo_id, pinned.revision,
                        {pinned.config: {"test": [datasets.Dataset.from_dict({"text": lines})]}})  # fmt: skip


@pytest.fixture(scope="module")
def repos():
    return tiny_llama(), metamath(), gsm8k(), wikitext()


@pytest.fixture
def hub(repos):
    with Hub(*repos) as hub:
        yield hub


@pytest.fixture
def run_against(tmp_path):
    """Runs run.py in a process of its own, as a user with this hub and an empty cache would."""

    def call(hub, *arguments, before=(), **more):
        output, home = tmp_path / f"output{len(list(tmp_path.glob('output*')))}", tmp_path / "home"
        command = [*before, sys.executable, str(ROOT / "run.py"), FLAGSHIP, "--device", "cpu", "--output", str(output),
                   *STEPS, *arguments]  # fmt: skip
        done = subprocess.run(
            command, env=environment(hub, home) | more, cwd=ROOT, capture_output=True, text=True, timeout=300
        )
        outcome = Outcome(done.returncode, output)
        outcome.errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        outcome.stderr = done.stderr
        return outcome

    return call


@pytest.mark.slow
def test_the_flagship_runs_unmodified_and_again_offline(hub, run_against):
    outcome = run_against(hub)
    assert outcome.code == 0, outcome.stderr
    result = Result.model_validate(outcome.json)
    assert result.train_info.status == "success"
    assert result.meta_info.model_info.sha == PARAMS.model_revision
    assert {name: info.sha for name, info in result.meta_info.dataset_info.items()} == {
        dataset.repo_id: dataset.revision for dataset in TASK.datasets.values()
    }
    assert result.meta_info.model_info.created_at.startswith(CREATED_AT[:10])
    assert forgetting.WIKITEXT.revision in result.forgetting.text
    assert result.forgetting.tokens > 6 * 40
    assert result.forgetting.loss > 0
    assert result.task.test_rows == 8
    assert result.task.valid_rows == 50
    assert result.run_info.train_config["dtype"] == "bfloat16"
    assert len({line.train_loss for line in result.train_info.metrics[:2]}) == 2
    hub.requests.clear()
    hub.faults["."] = 500
    offline = run_against(hub, HF_HUB_OFFLINE="1")
    assert offline.code == 0, offline.stderr
    assert not hub.requests
    assert offline.losses == outcome.losses
    assert offline.json["meta_info"]["model_info"]["sha"] == PARAMS.model_revision
    assert offline.json["provenance"]["data_fingerprint"] == outcome.json["provenance"]["data_fingerprint"]


MODEL, TRAIN, TEXT = "meta-llama/Llama-3.2-3B", "meta-math/MetaMathQA", forgetting.WIKITEXT.repo_id
FAILURES = {
    "gated model, not logged in": ({MODEL: 401}, [MODEL, "accept", "hf auth login"]),
    "gated model, no access": ({MODEL: 403}, [MODEL, "accept"]),
    "model 500": ({MODEL: 500}, [MODEL, "500", "again"]),
    "dataset 500": ({TRAIN: 500}, [TRAIN, "again"]),
    "held-out text 500": ({TEXT: 500}, [TEXT, "again"]),
    "gated dataset": ({TRAIN: 403}, [TRAIN, "accept"]),
    "connection dropped": ({MODEL: "drop"}, [MODEL, "connection"]),
    "download cut": ({f"{MODEL}/resolve/.*/model.safetensors": "cut"}, [MODEL, "connection"]),
    "timeout": ({MODEL: "hang"}, [MODEL, "connection"]),
    "gated files": ({f"{MODEL}/resolve": 403}, [MODEL, "accept", "hf auth login"]),
    "gated dataset files": ({f"{TRAIN}/resolve": 403}, [TRAIN, "accept"]),
}


QUICK = {"gated model, not logged in", "dataset 500"}  # of `make test`; each starts a process


@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in FAILURES]
)
def test_failures_of_the_hub(hub, run_against, case):
    hub.faults, said = FAILURES[case]
    check_failure(run_against(hub), said)


def check_failure(outcome, said):
    assert outcome.code == 2, outcome.stderr
    assert len(outcome.errors) == 1, outcome.stderr
    for words in said:
        assert words in outcome.errors[0]
    assert "Traceback" not in outcome.stderr
    assert outcome.json["train_info"]["status"] == "failed"
    assert "Traceback" in outcome.json["run_info"]["error_msg"]


@pytest.mark.slow
@pytest.mark.parametrize("missing", [MODEL, TRAIN])
def test_a_repository_that_does_not_exist(hub, run_against, missing):
    hub.repos = {key: repo for key, repo in hub.repos.items() if key[1] != missing}
    check_failure(run_against(hub), [missing, "check the name"])


@pytest.mark.slow
@pytest.mark.parametrize("moved", [MODEL, TRAIN])
def test_a_revision_that_does_not_exist(repos, run_against, moved):
    others = [Repo(repo.kind, repo.name, "0" * 40 if repo.name == moved else repo.sha, repo.files) for repo in repos]
    with Hub(*others) as hub:
        check_failure(run_against(hub), [moved, "revision"])


@pytest.mark.slow
def test_offline_with_an_empty_cache(hub, run_against):
    check_failure(run_against(hub, HF_HUB_OFFLINE="1"), ["HF_HUB_OFFLINE"])


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("unshare")
    or subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode != 0,
    reason="needs unshare, to mount a small disk without being root",
)
def test_a_full_disk(hub, run_against, tmp_path):
    small = tmp_path / "home"
    small.mkdir()
    script = f'mount -t tmpfs -o size=64k none "{small}" && exec "$@"'
    outcome = run_against(hub, before=["unshare", "-rm", "sh", "-c", script, "sh"])
    check_failure(outcome, ["disk", "HF_HOME"])
