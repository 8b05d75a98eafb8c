"""Flux's install manifests: reading and verifying them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.config import load
from fleet.config.models import Flux
from fleet.errors import FleetError
from fleet.render import flux_release
from tests.support import stack_file, write


class TestFluxManifests:
    TEXT = "metadata:\n  labels:\n    app.kubernetes.io/version: v2.9.2\n"

    @staticmethod
    def flux(checkout: Path, spec: str = "") -> Flux:
        more = f"  fleet:flux: {{version: v2.9.2, manifests: flux.yaml{spec}}}\n"
        write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
        return load.stack(checkout, "dev").config.flux

    def refused(self, checkout: Path, spec: str = "") -> str:
        with pytest.raises(FleetError) as caught:
            flux_release.read(self.flux(checkout, spec), checkout)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_read(self, checkout: Path) -> None:
        write(checkout, {"flux.yaml": self.TEXT})
        checksum = flux_release.checksum(checkout / "flux.yaml")
        assert flux_release.read(self.flux(checkout), checkout) == self.TEXT
        pinned = self.flux(checkout, f", sha256: {checksum}")
        assert flux_release.read(pinned, checkout) == self.TEXT

    def test_another_checksum(self, checkout: Path) -> None:
        write(checkout, {"flux.yaml": self.TEXT})
        assert "find out which one is right" in self.refused(checkout, f", sha256: {'a' * 64}")

    @pytest.mark.parametrize("found", ["v2.9.1", "v2.9.20", "v2.9.2-rc.1"])
    def test_another_version(self, found: str, checkout: Path) -> None:
        write(checkout, {"flux.yaml": self.TEXT.replace("v2.9.2", found)})
        assert "is not Flux v2.9.2" in self.refused(checkout)

    def test_a_folder(self, checkout: Path) -> None:
        (checkout / "flux.yaml").mkdir()
        assert self.refused(checkout).endswith("Is a directory; name a file")

    def test_where_the_release_is_kept(self, checkout: Path, empty_cache: Path) -> None:
        """Manifests of another source do not count as the release's, even of the same version."""
        write(empty_cache, {"flux/v2.9.2-from-modules.yaml": "made here"})
        flux = load.stack(checkout, "dev").config.flux
        assert flux_release.url(flux) == (
            "https://github.com/fluxcd/flux2/releases/download/v2.9.2/install.yaml"
        )
        with pytest.raises(flux_release.ManifestsMissingError, match="run `fleet fetch`"):
            flux_release.read(flux, checkout)
        assert flux_release.read_for_review(flux, checkout) == "made here"
