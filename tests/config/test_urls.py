"""Tests of fleet/config/urls.py: every URL of a stack file, with hypothesis."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.config import valid_parts
from fleet.config.keys import Location
from fleet.config.urls import plain_url

SECRET = "HunterZwei2"  # noqa: S105 - a test's
# Every key with a URL.
PLACES: tuple[Location, ...] = (
    ("repository", "url"),
    ("repository", "apiUrl"),
    ("flux", "manifests"),
    ("tenants", 0, "repository", "url"),
)
WITH_SECRET = (
    f"https://git:abc/def+{SECRET}@github.com/acme/x",
    f"ssh://git:pa/{SECRET}@github.com/acme/x",
    f"https://github.com:{SECRET}/acme/x",
    f"https://github.com/acme/x?access_token={SECRET}",
    f"https://github.com/acme/x#{SECRET}",
    f"https://{SECRET}%40github.com/acme/x",
    f"https://github.com/{SECRET}%40github.com/x",
    f"https://{SECRET}@github.com/acme/x",
    f"https://user:{SECRET}@github.com/acme/x",
    f"ssh://{SECRET}@github.com/acme/x",
    f"ssh://git:{SECRET}@github.com/acme/x",
    f"ssh://git@{SECRET}@github.com/acme/x",
    f"ssh://git@github.com:{SECRET}/x",
    f"{SECRET}@github.com:acme/x",
    f"user:{SECRET}@github.com:acme/x",
    f"https://user:{SECRET} @github.com/acme/x",
    f"https://user: {SECRET}@github.com/acme/x",
    f"https://user:{SECRET}\t@github.com/acme/x",
    f"https://user:{SECRET}\n@github.com/acme/x",
    f"https://\\{SECRET}@github.com/acme/x",
    f"HTTPS://user:{SECRET}@github.com/acme/x",
    f"http://user:{SECRET}@github.com/acme/x",
    f"https:/user:{SECRET}@github.com/acme/x",
    f"//user:{SECRET}@github.com/acme/x",
    f"//{SECRET}@github.com/acme/x",
    f"github.com/acme/x?access_token={SECRET}",
    f"https://[::1]:{SECRET}/acme/x",
    f"https://[{SECRET}/acme/x",
    f"https://github.com\uff20{SECRET}/x",
)


def problems(location: Location, value: object) -> tuple[str, ...]:
    """Return the problems of a stack that has only this value."""
    for part in reversed(location):
        value = [value] if isinstance(part, int) else {part: value}
    assert isinstance(value, dict)
    found = valid_parts.validate(value, {}, "Pulumi.dev.yaml")
    return tuple(line for line in found.problems if ": missing; " not in line)


@pytest.mark.parametrize("location", PLACES, ids=str)
@pytest.mark.parametrize("url", WITH_SECRET)
def test_a_url_with_a_secret_is_refused_and_not_repeated(url: str, location: Location) -> None:
    for key in (location, location[:-1], location[:1]):
        found = problems(key, url)
        assert found, key
        assert SECRET not in "".join(found)


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/x",
        "https://github.com/acme/x.git",
        "https://GitHub.com:8443/acme/x/",
        "https://127.0.0.1:40031/acme/x.git",
        "https://git.sr.ht/~acme/x",
        "https://dev.azure.com/acme/My%20Project/_git/x",
        "ssh://git@github.com/acme/x",
        "ssh://github.com/acme/x",
        "ssh://git@ssh.github.com:443/acme/x.git",
        "ssh://git@ssh.dev.azure.com/v3/acme/My%20Project/x",
    ],
)
def test_urls_that_are_fine(url: str) -> None:
    assert problems(("repository", "url"), url) == ()
    assert problems(("tenants", 0, "repository", "url"), url) == ()


@pytest.mark.parametrize(
    "url",
    [
        "ssh://git@github.com:acme/x",
        "https://github.com:0/acme/x",
        "https://github.com:99999/acme/x",
        "https://github.com:/acme/x",
        "https://github.com//acme/x",
        "https://github.com/acme/../x",
        "https://github.com/acme/./x",
        "https://-github.com/acme/x",
        "https:///acme/x",
        "https://",
        "https://github.com",
        "https://github.com/",
        "ssh://GIT@github.com/acme/x",
        f"https://github.com/{'a' * 2048}",
    ],
)
def test_urls_of_another_form_are_refused(url: str) -> None:
    assert problems(("repository", "url"), url)


@pytest.mark.parametrize(
    "where", ["install.yaml", "~/flux.yaml", "../v2.9/a.yaml", "/home/j@acme/c:d"]
)
def test_install_manifests_may_have_a_path(where: str) -> None:
    assert problems(("flux", "manifests"), where) == ()


PIECES = [
    "https://", "ssh://", "git@", "user:pw@", "%40", "@", ":", "/", "//", "?", "#", "github.com",
    "[::1]", "443", "acme", "%20", "\\", "\t", "\r", " ", "\u2028", "..", "=", "&",
]  # fmt: skip
URLS = st.one_of(
    st.text(),
    st.from_regex(r"(https|ssh)://[!-~]{0,20}", fullmatch=True),
    st.lists(st.sampled_from(PIECES)).map("".join),
)


@given(URLS)
def test_an_accepted_url_has_only_known_parts(url: str) -> None:
    try:
        plain_url(url, ("https", "ssh"), "remove it")
    except ValueError as error:
        assert str(error) in (
            "must be an https:// or ssh:// URL",
            "has more than scheme, host, port and a plain path; remove it",
        )
        return
    found = urlsplit(url)
    assert re.fullmatch(r"[!-~]+", url)
    assert found.scheme in ("https", "ssh")
    assert found.username in ((None,) if found.scheme == "https" else (None, "git"))
    assert (found.password, found.query, found.fragment) == (None, "", "")
    assert not set(url.removeprefix(f"{found.scheme}://").removeprefix("git@")) & set("@?#\\")
    port = f"(:{found.port})?"
    assert re.fullmatch(rf"[a-z]+://(git@)?[A-Za-z0-9.-]+{port}(/.*)?", url)


@given(st.sampled_from(PLACES), st.sampled_from(WITH_SECRET), st.text(max_size=3), st.integers(0))
def test_no_message_has_a_secret(location: Location, url: str, more: str, position: int) -> None:
    """A few characters more, anywhere but in the secret, make no difference."""
    before, after = url.split(SECRET)
    at = position % (len(before) + 1)
    changed = f"{before[:at]}{more}{before[at:]}{SECRET}{after}"
    for key in (location, location[:-1]):
        lines = problems(key, changed)
        assert all("\n" not in line for line in lines)
        assert SECRET not in json.dumps(lines)
