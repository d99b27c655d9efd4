"""What GitHub is told: workflows that can do no harm to a stranger's pull request, forms that are forms."""

import yaml

from harness.experiment import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (GITHUB / "workflows").glob("*.yml")}


def test_workflows_have_no_secrets_and_write_nothing():
    assert WORKFLOWS.keys() == {"check", "tests"}
    for path in (GITHUB / "workflows").glob("*.yml"):
        assert "secrets." not in path.read_text()
    for name, workflow in WORKFLOWS.items():
        assert workflow[True] == {"check": "pull_request", "tests": "push"}[name], "YAML reads `on` as true"
        assert workflow["permissions"] == {"contents": "read"}
        for job in workflow["jobs"].values():
            steps = job["steps"]
            assert all("${{" not in step.get("run", "") for step in steps), "no text of strangers in a shell's line"
            assert all("@v" in step["uses"] for step in steps if "uses" in step)
            assert steps[0]["with"]["persist-credentials"] is False


def test_a_pull_request_is_checked_as_contributing_says():
    runs = [step.get("run", "") for step in WORKFLOWS["check"]["jobs"]["check"]["steps"]]
    assert any(line.startswith("python contribute.py check --base ") for line in runs)
    command = "python contribute.py check --base origin/main --rehearse"
    assert command in (GITHUB / "pull_request_template.md").read_text()
    assert command in (ROOT / "CONTRIBUTING.md").read_text()


def test_forms_have_what_github_asks_of_them():
    forms = [path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"]
    assert {path.stem for path in forms} == {"experiment", "dataset", "negative-result"}
    for path in forms:
        form = yaml.safe_load(path.read_text())
        assert form["name"]
        assert form["description"]
        ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
        assert len(ids) == len(set(ids)) >= 3
        for field in form["body"]:
            assert field["type"] in ("markdown", "input", "textarea", "dropdown", "checkboxes")
            assert field["attributes"].get("label") or field["type"] == "markdown"
