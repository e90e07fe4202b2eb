"""The tag template: the fields of Docker's own drivers, and no others."""

from __future__ import annotations

import pytest

from otellogdriver.container import Container
from otellogdriver.settings.tag import TAG, render

CONTAINER = Container(
    id="0123456789abcdef" * 4, name="web", image_name="shop/web:1", image_id="sha256:" + "fe" * 32, daemon_name="docker"
)


@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ("plain", "plain"),
        ("{{.ID}}", "0123456789ab"),
        ("{{.FullID}}", CONTAINER.id),
        ("{{ .Name }}", "web"),
        ("{{.ImageName}}/{{.Name}}/{{.ID}}", "shop/web:1/web/0123456789ab"),
        ("{{.ImageID}}", "sha256:fefef"),
        ("{{.ImageFullID}}", CONTAINER.image_id),
        ("{{.DaemonName}}", "docker"),
        ("a {{- .Name -}} b", "awebb"),
        ("a }} b", "a }} b"),
    ],
)
def test_rendered(template: str, tag: str) -> None:
    assert render(TAG.parse(template), CONTAINER) == tag


@pytest.mark.parametrize(
    "template",
    [
        "{{.Nam}}",
        "{{Name}}",
        "{{}}",
        "{{upper .Name}}",
        "{{.Name | upper}}",
        "{{..Name}}",
        "{{.Name",
        "{{{.Name}}",
        "a\n",
    ],
)
def test_refused(template: str) -> None:
    with pytest.raises(ValueError):
        TAG.parse(template)
