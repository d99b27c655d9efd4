"""A Ray cluster of two nodes on this machine: what dies with its worker or its node is made again, nothing twice."""

import json
import os
import signal
import threading
import time

import pytest
from eight import SOME

from harness.files import ROOT
from harness.suite.drive import run_all
from harness.suite.plans import Wanted, make_plans, state_of
from harness.suite.pools import Job

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of Ray's own


@pytest.fixture
def cluster(stand_in, monkeypatch):
    from ray.cluster_utils import Cluster

    from harness.suite import ray_pool

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else Ray writes a token into the home folder
    monkeypatch.setenv("BEHAVIOUR", json.dumps({"ia3": "refuse"}))  # what runs has its node's environment
    monkeypatch.setenv("SECONDS", "4")
    monkeypatch.setattr(ray_pool, "ROOT", stand_in.path.parent / "stand-in")
    monkeypatch.setattr(ray_pool.RayPool, "PAUSE", 5)
    memory = {"object_store_memory": 10**8}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **memory, "include_dashboard": False})
    cluster.second = cluster.add_node(num_cpus=2, **memory)
    yield cluster
    cluster.shutdown()


def pool_of(cluster, output):
    from harness.suite.ray_pool import RayPool

    return RayPool(cluster.address, output, "cpu", 1)


def jobs_of(output):
    plans = make_plans(Wanted(tuple(SOME), ("MetaMathQA",), seeds=(0, 1), output=output))
    chosen = [plan for plan in plans if plan.experiment.method != "ia3" or plan.experiment.params.seed == 0]
    return [Job(plan) for plan in chosen if state_of(plan) != "done"]


def when_begun(stand_in, count, act):
    def wait():
        while len(stand_in.lines("begins")) < count:
            time.sleep(0.1)
        act()

    threading.Thread(target=wait, daemon=True).start()


def test_a_worker_and_a_node_die_and_one_experiment_always_fails(cluster, stand_in, tmp_path, capsys):
    output = tmp_path / "output"
    output.mkdir()
    jobs, killed = jobs_of(output), []
    assert len(jobs) == 15

    def kill_worker():
        killed.append(stand_in.lines("begins")[-1])
        os.kill(killed[0]["parent"], signal.SIGKILL)

    when_begun(stand_in, 3, kill_worker)
    when_begun(stand_in, 9, lambda: cluster.remove_node(cluster.second, allow_graceful=False))
    assert run_all(jobs, pool_of(cluster, output), [None] * len(jobs), output) == 1
    printed = capsys.readouterr().out
    assert "14 done, 1 failed\n" in printed
    assert "refused: error: it cannot be done" in printed
    ended = stand_in.ended()
    assert len(ended) == len(set(ended)) == 14, "nothing was made twice"
    begun = [line for line in stand_in.lines("begins") if line["begins"] == killed[0]["begins"]]
    assert len(begun) == 2, "the one whose worker was killed began again"
    assert {line["OMP_NUM_THREADS"] for line in stand_in.lines("begins")} == {"1"}
    assert [job.plan.experiment.method for job in jobs_of(output)] == ["ia3"], "what a second call would make"


def test_without_a_shared_disk_results_and_logs_come_back(cluster, stand_in, tmp_path, monkeypatch):
    """The marker that tells a node that it sees the head's folder is taken away, and so is the head's checkout."""
    from harness.suite import ray_pool

    describe = ray_pool.RayPool._describe

    def far_away(self, output):
        place, archive = describe(self, output)
        return place | {"root": "/nowhere", "marker": "runs/suite/.nothing"}, archive

    monkeypatch.setattr(ray_pool.RayPool, "_describe", far_away)
    output = tmp_path / "output"
    output.mkdir()
    jobs = [job for job in jobs_of(output) if job.plan.experiment.method != "ia3"][:3]
    assert run_all(jobs, pool_of(cluster, output), [None] * 3, output) == 0
    assert all(state_of(job.plan) == "done" for job in jobs)
    assert all(job.log.is_file() for job in jobs)
    assert len(stand_in.ended()) == 3


def test_no_cluster_is_one_line(monkeypatch):
    from harness.errors import UserError
    from harness.suite.ray_pool import RayPool

    monkeypatch.setenv("RAY_ADDRESS", "")
    with pytest.raises(UserError, match="no Ray cluster there"):
        RayPool("127.0.0.1:1", ROOT, "cpu", 1)


def test_stopping_ends_what_runs(cluster, stand_in, tmp_path):
    output = tmp_path / "output"
    output.mkdir()
    pool = pool_of(cluster, output)
    running = pool.run(jobs_of(output))
    when_begun(stand_in, 3, lambda: None)
    next(running)
    pool.stop()
    begun = stand_in.lines("begins")
    assert len(begun) < 15, "nothing new was begun"
    deadline = time.time() + 20
    while any(os.path.exists(f"/proc/{line['pid']}") for line in begun) and time.time() < deadline:
        time.sleep(0.2)
    assert not [line for line in begun if os.path.exists(f"/proc/{line['pid']}")]
