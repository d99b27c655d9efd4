"""The app as programs see it: Gradio's own client gets the rows and answers of the pages, and nothing else is open."""

import json
import urllib.error
import urllib.request

import pytest
from dashboard_demo import TASK
from dashboard_foreign import LLAMA

gradio_client = pytest.importorskip("gradio_client")

LINK = f"?task={TASK}&model=embedded/llama&hardware=cpu-x86-64"


@pytest.fixture(scope="module")
def client(server):
    return gradio_client.Client(server, verbose=False, analytics_enabled=False)


def fetched(address, **kwargs):
    with urllib.request.urlopen(urllib.request.Request(address, **kwargs), timeout=60) as answer:
        return answer.read()


@pytest.mark.parametrize("query", ["", f"task={TASK}&model=embedded/llama&columns=storage&columns=score&sort=storage",
                                   "task=MetaMathQA&max_memory=20 GB&text=rank32"])  # fmt: skip
def test_results_are_the_rows_of_the_export(client, server, query):
    rows = client.predict(query, api_name="/results")
    assert rows == json.loads(fetched(f"{server}/export.json?{query.replace(' ', '%20')}"))
    assert len(rows) > 1


def test_pairs_are_compared(client):
    keys = [f"{name}@cpu-x86-64@1" for name in ("lora/rank8", "lora/rank32", "full-finetuning/all")]
    pairs = client.predict(LINK + "".join(f"&compare={key}" for key in keys), api_name="/compare")
    assert [(pair["a"], pair["b"]) for pair in pairs] == [(keys[0], keys[1]), (keys[0], keys[2]), (keys[1], keys[2])]
    assert {pair["better"] for pair in pairs} <= {"", *keys}
    assert any(pair["tested"] and "Welch" in pair["verdict"] for pair in pairs)


def test_a_method_is_chosen(client):
    answer = client.predict("task=MetaMathQA&gpu_memory=24 GB", api_name="/choose")
    (ranking,) = [one for one in answer["rankings"] if LLAMA in one["title"]]
    assert [one["rank"] for one in ranking["kept"]] == list(range(1, len(ranking["kept"]) + 1))
    assert "within the 23.0 GiB" in ranking["kept"][0]["reasons"][0]
    assert {one["model"] for one in answer["forecasts"]} == {LLAMA}
    assert not {one["experiment"] for one in answer["forecasts"]} & {one["experiment"] for one in ranking["kept"]}


@pytest.mark.parametrize(
    ("link", "endpoint", "message"),
    [
        ("task=Nothing", "/results", "there are no results of it here"),
        ("expression=memori_train < 3", "/results", "memory_train"),
        ("", "/compare", "at least two compare="),
        ("gpu_memory=much", "/choose", "24 GB"),
    ],
)
def test_what_a_link_has_wrong_is_said(client, link, endpoint, message):
    with pytest.raises(gradio_client.exceptions.AppError, match=message):
        client.predict(link, api_name=endpoint)


def test_endpoints_are_typed_and_explained(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == {"/results", "/compare", "/choose"}
    for endpoint in endpoints.values():
        assert endpoint["description"]
        (parameter,) = endpoint["parameters"]
        assert (parameter["parameter_name"], parameter["type"]["type"]) == ("link", "string")


@pytest.mark.parametrize(
    "path",
    ["gradio_api/upload", "gradio_api/file=/etc/passwd", "gradio_api/proxy=https://example.org", "gradio_api/vibe-code",
     "docs", "redoc", "openapi.json", "monitoring", "monitoring/summary", "login", "gradio_api/runs", "theme.css",
     "gradio_api/stream/x", "gradio_api/process_recording", "assets/index.js", "static/img/logo.svg"],
)  # fmt: skip
def test_nothing_else_of_gradio_is_open(server, path):
    for kwargs in ({}, {"data": b"x", "method": "POST"}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetched(f"{server}/{path}", **kwargs)
        with refused.value as answer:
            assert answer.code == 404


def test_no_telemetry(server):
    assert json.loads(fetched(f"{server}/config"))["analytics_enabled"] is False


@pytest.mark.slow
def test_the_process_speaks_to_its_own_machine_only(serve, tmp_path, monkeypatch):
    said = tmp_path / "said"
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\n"
        f"def hook(event, args):\n"
        f"    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname'):\n"
        f"        place = args[1] if event == 'socket.connect' else args[0]\n"
        f"        place = place[0] if isinstance(place, tuple) else place\n"
        f"        print(event, place, file=open({str(said)!r}, 'a'))\n"
        f"sys.addaudithook(hook)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with serve() as address:
        gradio_client.Client(address, verbose=False, analytics_enabled=False).predict("", api_name="/results")
    places = {line.split()[1] for line in said.read_text().splitlines()}
    assert "127.0.0.1" in places
    assert places <= {"127.0.0.1", "localhost"}
