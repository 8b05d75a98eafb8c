"""The lines about what cannot be known."""

from __future__ import annotations

from fleet.cli.fleets import shortened


def test_many_releases_without_charts_are_one_line() -> None:
    other = "dev: HelmRelease a/b is not rendered: spec.kubeConfig installs it in another cluster"
    few = [f"dev: HelmRelease a/{name} is not rendered: x; run `fleet fetch`" for name in "abcde"]
    assert shortened([*few, other]) == [*few, other]
    more = "dev: HelmRelease a/f is not rendered: y; run `fleet fetch`"
    assert shortened([*few, other, more]) == [
        other,
        "6 HelmReleases are not rendered; run `fleet fetch`",
    ]
