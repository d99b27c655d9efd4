"""The workload of CONTRIBUTING.md, as it stands there: it loads, learns and answers."""

import re

import torch

from harness.experiment import ROOT, read_experiment
from harness.task import Row

ROWS = [Row(f"{a} + {b}", str((a + b) % 2), str((a + b) % 2), f"{a} {b}") for a in range(4) for b in range(4)]


def test_the_workload_of_the_documentation_learns(tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "(Workload)" in block)
    names = {}
    exec(compile(code, "text_classification.py", "exec"), names)
    params = read_experiment(ROOT / "method_comparison/MetaMathQA/experiments/full-finetuning/embedded-llama").params
    torch.manual_seed(0)
    workload, base = names["WORKLOAD"].load(params, torch.device("cpu"), str, ("0", "1"))
    batch = workload.collate([workload.encode(row) for row in ROWS])
    assert batch.rows == batch.counted == len(ROWS)
    optimizer, losses = torch.optim.AdamW(base.parameters(), lr=1e-3), []
    for _ in range(8):
        losses.append(workload.loss(base.train(), batch.inputs))
        losses[-1].backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.8 * losses[0]
    assert set(workload.answer(base, ROWS, "test").texts) <= {"0", "1"}
