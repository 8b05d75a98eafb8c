"""The connection to GitHub."""

from __future__ import annotations

from tests.components.helpers import (
    GITHUB,
    GITHUB_CONNECTION,
    decoded,
    options_on_github,
    void,
)
from tests.components.recording import UNKNOWN, run


class TestGitHubConnection:
    def test_an_explicit_provider(self) -> None:
        recording = run(lambda: void(options_on_github()))
        provider = recording.one(GITHUB)
        inputs = dict(provider.inputs)
        assert decoded(inputs.pop("retryableErrors")) == [409, 500, 502, 503, 504]
        assert decoded(inputs.pop("maxRetries")) == 8
        assert inputs == {
            "baseUrl": "https://api.github.com/",
            "owner": "acme",
            "token": "hunter2",
        }
        assert provider.secrets == {"token"}
        assert recording.by_urn(provider.parent).type == GITHUB_CONNECTION

    def test_a_token_that_only_an_up_will_know(self) -> None:
        recording = run(lambda: void(options_on_github(UNKNOWN)), preview=True)
        assert recording.one(GITHUB).inputs["token"] == UNKNOWN
