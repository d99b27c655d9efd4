"""The result of a run before it begins: what is run, on what, from which code, data and versions."""

from datetime import UTC, datetime
from typing import Any

import peft
import torch

from harness.architecture import EMBEDDED
from harness.devices import pytorch_info, system_info
from harness.experiment import ROOT, Experiment
from harness.packaged import PACKAGED
from harness.params import TrainingParams
from harness.plan import Plan
from harness.result import provenance, schema
from harness.task import Task
from harness.workloads import find_workload


def new_result(plan: Plan, task: Task, device: torch.device, hardware: dict[str, Any]) -> schema.Result:
    """A result that says all that is known before anything is loaded."""
    experiment, params = plan.experiment, plan.experiment.params
    metric = task.metric_of(params.data_source)
    datasets = task.datasets.values() if params.data_source == "hub" and not plan.profile else ()
    return schema.Result(
        method=experiment.method,
        name=experiment.name,
        seed=params.seed,
        overrides=experiment.overrides,
        profile=plan.profile,
        run_info=schema.RunInfo(
            created_at=datetime.now(UTC).isoformat(),
            experiment_name=f"{experiment.method}/{experiment.name}",
            peft_branch=f"v{peft.__version__}",
            train_config=params.recorded(),
            peft_config=experiment.adapter_config,
        ),
        meta_info=schema.MetaInfo(
            dataset_info={dataset.repo_id: schema.RepoInfo(sha=dataset.revision) for dataset in datasets},
            package_info=provenance.package_info(),
            system_info=system_info(device),
            pytorch_info=pytorch_info(),
        ),
        task=schema.TaskInfo(
            name=experiment.task,
            subset=plan.subset,
            data_source=params.data_source,
            metric=metric.name,
            higher_is_better=metric.higher_is_better,
            work_unit=find_workload(task.workload, task.where).unit,
        ),
        hardware=hardware,
        provenance=_provenance(plan, experiment),
    )


def _provenance(plan: Plan, experiment: Experiment) -> schema.Provenance:
    params, git = experiment.params, provenance.git_state(ROOT)
    return schema.Provenance(
        command=plan.command,
        harness_commit=git["commit"],
        harness_dirty=git["dirty"],
        untracked_files=git["untracked_files"],
        config_fingerprint=plan.config_fingerprint,
        base_model_fingerprint=None if plan.profile else _weights_fingerprint(params),
    )


def _weights_fingerprint(params: TrainingParams) -> str | None:
    """Of a base model that has no commit to pin it."""
    if params.is_embedded_model:
        weights = next((EMBEDDED / params.model_id.removeprefix("embedded/")).glob("*.safetensors"), None)
        return provenance.file_fingerprint(weights) if weights else None
    packaged = PACKAGED.get(params.model_id)
    return packaged.sha256 if packaged else None
