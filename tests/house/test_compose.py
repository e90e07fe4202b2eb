"""The files of the stack: mounted ones are there, exporters and data sources exist; of the overlay for Loki, too, which
no test runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

COMPOSE = Path(__file__).parents[2] / "compose"
STACK, OVERLAY = COMPOSE / "compose.yaml", COMPOSE / "loki.yaml"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def mounts(file: Path) -> dict[str, Path]:
    """Where in a container, and what."""
    found = {}
    for service in load(file)["services"].values():
        for mount in service.get("volumes", ()):
            source, target, *_ = mount.split(":")
            if source.startswith("."):
                found[target] = (COMPOSE / source).resolve()
    return found


@pytest.mark.parametrize("file", [STACK, OVERLAY], ids=lambda path: path.name)
def test_mounted_files_are_there_and_images_have_versions(file: Path) -> None:
    assert mounts(file)
    for target, source in mounts(file).items():
        assert source.exists(), f"{target}: there is no {source}"
        assert source.is_dir() or source.suffix == Path(target).suffix
    images = [service["image"] for service in load(file)["services"].values() if "image" in service]
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in images)


def test_configurations_named_in_commands_are_mounted() -> None:
    both = mounts(STACK) | mounts(OVERLAY)
    for file in (STACK, OVERLAY):
        for service in load(file)["services"].values():
            named = [word.partition("=")[2] for word in service.get("command", ()) if re.match(r"--?config[.=]", word)]
            assert set(named) <= set(both)


@pytest.mark.parametrize("overlay", [False, True])
def test_the_collector_sends_to_exporters_that_exist_and_queues_nothing(overlay: bool) -> None:
    settings = load(COMPOSE / "collector.yaml")
    exporters, pipeline = settings["exporters"], settings["service"]["pipelines"]["logs"]
    services = load(STACK)["services"]
    if overlay:
        more = load(COMPOSE / "loki/collector.yaml")
        exporters = exporters | more["exporters"]
        pipeline = pipeline | more["service"]["pipelines"]["logs"]
        services = services | {"loki": load(OVERLAY)["services"]["loki"]}
    assert set(pipeline["exporters"]) == set(exporters) and len(exporters) == 1 + overlay
    for name, exporter in exporters.items():
        assert name.startswith("otlp_http/") and exporter["sending_queue"] == {"enabled": False}
        url = exporter.get("endpoint") or exporter["logs_endpoint"]
        assert re.match(r"http://(\w+):", url)[1] in services  # type: ignore[index]


@pytest.mark.parametrize(
    ("file", "boards"),
    [
        ("grafana/datasources.yaml", ["driver.json", "container-logs.json"]),
        ("loki/datasource.yaml", ["container-logs-loki.json"]),
    ],
)
def test_grafana_has_a_data_source_for_each_board_and_links_that_lead_to_boards(file: str, boards: list[str]) -> None:
    sources = load(COMPOSE / file)["datasources"]
    mounted = (mounts(STACK) | mounts(OVERLAY)).values()
    made = {}
    for name in boards:
        path = COMPOSE.parent / "dashboards" / name
        assert path in mounted
        made[name] = json.loads(path.read_text())
    wanted = {
        item["query"] for board in made.values() for item in board["templating"]["list"] if item["type"] == "datasource"
    }
    assert {source["type"] for source in sources} | {"prometheus"} == wanted
    links = re.findall(r"/d/([\w-]+)", (COMPOSE / file).read_text())
    assert links and set(links) <= {board["uid"] for board in made.values()}


def test_the_overlay_says_that_it_is_not_run() -> None:
    text = OVERLAY.read_text()
    assert "do not run it" in text and "--file compose/compose.yaml --file compose/loki.yaml" in text
