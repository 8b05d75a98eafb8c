"""Downloads over HTTPS."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from email.message import Message
from typing import IO, NamedTuple

from fleet.errors import FleetError

TIMEOUT = 60


class StatusError(FleetError):
    """A server answered with an error; `status` is its HTTP status."""

    def __init__(self, text: str, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


class Answer(NamedTuple):
    """The content of a URL, and the headers that came with it, by their names in small letters."""

    content: bytes
    headers: Mapping[str, str]


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to another HTTPS URL, and takes credentials to no other host."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        target = urllib.parse.urlsplit(newurl)
        if target.scheme != "https":
            # The rest of a redirect's URL can hold a token, so it is not printed.
            raise FleetError(
                f"{req.full_url}: redirects to {target.scheme}://{target.hostname}, which is not "
                "https; find out who answers before you go on"
            )
        if (
            "Authorization" in req.headers
            and target.netloc != urllib.parse.urlsplit(req.full_url).netloc
        ):
            raise FleetError(
                f"{req.full_url}: redirects to the host {target.hostname}, which must not get the "
                "token; find out who answers before you go on"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def get(url: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the content of an HTTPS URL. Raises FleetError when a part of it is missing.

    Raises StatusError when the server answers with an error. The variables HTTPS_PROXY and
    SSL_CERT_FILE have their usual effect.
    """
    return answer(url, headers).content


def answer(url: str, headers: Mapping[str, str] | None = None, token: str | None = None) -> Answer:
    """Return the answer of an HTTPS URL, with the errors of `get`.

    The server gets the token, and a server that it redirects to does not.
    """
    # The opener reads the environment's proxies when it is built.
    opener = urllib.request.build_opener(_HttpsRedirects)
    try:
        request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - see above
        if token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        with opener.open(request, timeout=TIMEOUT) as opened:
            return Answer(opened.read(), _by_name(opened.headers))
    except urllib.error.HTTPError as error:
        problem = f"HTTP status {error.code} {error.reason}"
        raise StatusError(_failure(url, problem), error.code, _by_name(error.headers)) from None
    except urllib.error.URLError as error:
        problem = str(error.reason)
    except (OSError, http.client.HTTPException) as error:
        problem = str(error)
    raise FleetError(_failure(url, problem))


def _by_name(headers: Message) -> dict[str, str]:
    return {name.lower(): str(value) for name, value in headers.items()}


def _failure(url: str, problem: str) -> str:
    return f"{url}: cannot be fetched: {problem}; run the same command again"
