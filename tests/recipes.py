"""Check the recipes of docs/recipes by the schemas of their own tools: `make recipes`.

`python tests/recipes.py [CRD]` runs in an environment that has SkyPilot and jsonschema. CRD is
KubeRay's file ray.io_rayjobs.yaml.
"""

import sys
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).resolve().parents[1] / "docs/recipes"


def sky() -> None:
    """Let SkyPilot read its task. It checks the task by its schema."""
    import sky as skypilot

    task = skypilot.Task.from_yaml(str(RECIPES / "skypilot.yaml"))
    assert task.num_nodes > 1 and task.run


def kuberay(definition: Path) -> None:
    """Check the RayJob by the schema of its kind. No field may be outside the schema."""
    import jsonschema
    import yaml

    versions = yaml.safe_load(definition.read_text())["spec"]["versions"]
    schema = next(v["schema"]["openAPIV3Schema"] for v in versions if v["name"] == "v1")
    job = yaml.safe_load((RECIPES / "kuberay.yaml").read_text())
    schema["properties"]["metadata"] = {"properties": {"name": {"type": "string"}}}
    jsonschema.validate(job, _closed(schema))


def _closed(schema: Any) -> Any:
    """Allow no other fields than those that each object lists."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


if __name__ == "__main__":
    sky()
    if sys.argv[1:]:
        kuberay(Path(sys.argv[1]))
