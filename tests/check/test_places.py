"""Test the lines to look at for findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.check import places
from fleet.check.run import check_stacks
from fleet.config import load
from fleet.errors import ConfigError
from fleet.inventory.finding import Finding
from tests.check.support import flux_kustomization
from tests.support import config_map, definition, kustomization, manifest, stack_file, write


def stack_problems(root: Path) -> dict[str, int]:
    """Return the line of each problem of stack files, by file and key."""
    with pytest.raises(ConfigError) as caught:
        load.stacks(root)
    findings = [Finding.of_line(line) for line in caught.value.problems]
    placed = places.of_stack_files(root, findings)
    return {
        f"{found.file} {found.problem.split(': ')[0]}": found.source.line
        for found in placed
        if found.source and found.source.file == found.file
    }


class TestStackFiles:
    def test_an_item_of_a_list(self, checkout: Path) -> None:
        text = stack_file("dev").replace("[podinfo/overlays/dev]", "\n    - nothing\n    - b")
        write(checkout, {"Pulumi.dev.yaml": text})
        assert stack_problems(checkout) == {
            "Pulumi.dev.yaml fleet:apps[0]": 5,
            "Pulumi.dev.yaml fleet:apps[1]": 6,
        }

    def test_a_value_below_others(self, checkout: Path) -> None:
        text = stack_file("dev").replace("context: k3d-dev", "context: ''")
        write(checkout, {"Pulumi.dev.yaml": text})
        assert stack_problems(checkout) == {"Pulumi.dev.yaml fleet:cluster.context": 2}

    def test_a_key_that_is_missing_has_the_line_above_it(self, checkout: Path) -> None:
        text = (checkout / "Pulumi.yaml").read_text().replace("      version: v2.9.2\n", "")
        write(checkout, {"Pulumi.yaml": text})
        assert set(stack_problems(checkout).values()) == {8}

    def test_broken_yaml(self, checkout: Path) -> None:
        write(checkout, {"Pulumi.dev.yaml": f"{stack_file('dev')}  fleet:facts: {{a: b\n"})
        with pytest.raises(ConfigError) as caught:
            load.stacks(checkout)
        (found,) = places.of_stack_files(
            checkout, [Finding.of_line(line) for line in caught.value.problems]
        )
        assert found.source is not None
        assert found.source.line > 4


@pytest.mark.slow
class TestObjects:
    def placed(self, root: Path, **lists: str) -> list[str]:
        """Return the place of each finding about the stack dev."""
        (root / "Pulumi.prod.yaml").unlink(missing_ok=True)
        write(root, {"Pulumi.dev.yaml": stack_file("dev", **lists)})
        stacks = [(stack, None) for stack in load.stacks(root)]
        return [str(found.source) for found in check_stacks(root, stacks, lambda _: None).findings]

    def test_an_object_of_an_overlay(self, checkout: Path) -> None:
        text = f"{config_map('a', 'common')}---\n{config_map('b', 'nowhere')}"
        write(checkout, definition("apps/a/base", text))
        write(checkout, {"apps/a/overlays/dev/kustomization.yaml": kustomization("../../base")})
        assert self.placed(checkout, apps="a/overlays/dev") == ["apps/a/base/resource.yaml:9"]
        rendered = "  fleet:definitions: rendered\n"
        assert self.placed(checkout, apps="a/overlays/dev", more=rendered) == [
            "apps/a/base/resource.yaml:9"
        ]

    def test_the_line_of_a_name(self, checkout: Path) -> None:
        pod = "spec: {containers: [\n  {name: app, image: 'app:1'},\n  {name: b, image: app}]}\n"
        text = f"{config_map('a', 'common')}---\n{manifest('v1', 'Pod', 'a', 'common', pod)}"
        write(checkout, definition("apps/a", text))
        (found,) = (line for line in self.placed(checkout, apps="a"))
        # The line before has the same name, and an image with a version.
        assert found == "apps/a/resource.yaml:16"

    def test_an_object_of_another_path_of_flux(self, checkout: Path) -> None:
        write(checkout, definition("apps/a", flux_kustomization("b", "", path="./apps/b")))
        write(checkout, definition("apps/b", config_map("b", "nowhere")))
        assert self.placed(checkout, apps="a") == ["apps/b/resource.yaml:1"]

    def test_a_generated_object(self, checkout: Path) -> None:
        text = "namespace: nowhere\nconfigMapGenerator: [{name: a, literals: [b=c]}]\n"
        write(checkout, {"apps/a/kustomization.yaml": text})
        assert self.placed(checkout, apps="a") == ["apps/a/kustomization.yaml:1"]

    def test_a_reference_of_a_kustomization(self, checkout: Path) -> None:
        write(checkout, {"apps/a/kustomization.yaml": kustomization("b.yaml", "c.yaml")})
        write(checkout, {"apps/a/b.yaml": config_map("b", "common")})
        assert self.placed(checkout, apps="a") == ["apps/a/kustomization.yaml:5"]

    def test_a_path_that_does_not_build(self, checkout: Path) -> None:
        """The list in the stack file brings what cannot be built together."""
        apps = "podinfo/base podinfo/overlays/dev"
        assert self.placed(checkout, apps=apps) == ["Pulumi.dev.yaml:4"]

    def test_a_folder_without_a_stack(self, checkout: Path) -> None:
        write(checkout, {"clusters/old/kustomization.yaml": "left over\n"})
        assert self.placed(checkout) == ["clusters/old/kustomization.yaml:1"]

    def test_a_variable(self, checkout: Path) -> None:
        text = config_map("a", "common").replace("value", "${nothing}")
        write(checkout, definition("apps/a", text))
        found = self.placed(checkout, apps="a", more="  fleet:facts: {domain: a.example}\n")
        assert found == ["apps/a/resource.yaml:7"]
