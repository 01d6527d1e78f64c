"""Prints what is in the image: a bill of materials in CycloneDX 1.5, of Debian's packages and of Python's.

    python3 sbom.py VERSION ENVIRONMENT

It has no date and no serial number, so that the same content gives the same bill.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

FIELDS = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"


def debian_packages() -> list[dict[str, object]]:
    listed = subprocess.run(["dpkg-query", "-W", "-f", FIELDS], check=True, capture_output=True, text=True).stdout
    rows = [line.split("\t") for line in sorted(listed.splitlines()) if line.startswith("ii")]
    return [_component(name, version, f"pkg:deb/debian/{name}@{version}?arch={architecture}") for _, name, version, architecture in rows]


def python_packages(environment: Path) -> list[dict[str, object]]:
    (packages,) = environment.glob("lib/python*/site-packages")
    found = {each.metadata["Name"]: each for each in importlib.metadata.distributions(path=[str(packages)])}
    components = []
    for name, each in sorted(found.items()):
        component = _component(name, each.version, f"pkg:pypi/{name.lower().replace('_', '-')}@{each.version}")
        about = each.metadata.json
        said = about.get("license_expression") or about.get("license")
        if isinstance(said, str) and len(said) < 100:
            component["licenses"] = [{"license": {"name": said}}]
        components.append(component)
    return components


def _component(name: str, version: str, purl: str) -> dict[str, object]:
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}


def main(version: str, environment: str) -> None:
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": "thirdvote", "version": version, "bom-ref": "thirdvote"}},
        "components": [*debian_packages(), *python_packages(Path(environment))],
    }
    sys.stdout.write(json.dumps(bill, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
