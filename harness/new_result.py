"""The result of a run before it begins: what is run, on what, from which code, data and versions."""

from datetime import UTC, datetime
from typing import Any

import peft
import torch

from harness.architecture import EMBEDDED
from harness.devices import pytorch_info, system_info
from harness.experiment import ROOT, Experiment
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
    folder = EMBEDDED / params.model_id.removeprefix("embedded/")
    shipped = params.is_embedded_model and not plan.profile
    weights = next(folder.glob("*.safetensors"), None) if shipped else None
    return schema.Provenance(
        command=plan.command,
        harness_commit=git["commit"],
        harness_dirty=git["dirty"],
        untracked_files=git["untracked_files"],
        config_fingerprint=plan.config_fingerprint,
        base_model_fingerprint=provenance.file_fingerprint(weights) if weights else None,
    )
