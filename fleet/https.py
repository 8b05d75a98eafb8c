"""Downloads over HTTPS."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from typing import IO

from fleet.errors import FleetError

TIMEOUT = 60


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to another HTTPS URL."""

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
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def get(url: str) -> bytes:
    """Return the content of an HTTPS URL. Raises FleetError when a part of it is missing.

    The variables HTTPS_PROXY and SSL_CERT_FILE have their usual effect.
    """
    # The opener reads the environment's proxies when it is built.
    opener = urllib.request.build_opener(_HttpsRedirects)
    try:
        with opener.open(url, timeout=TIMEOUT) as answer:
            content: bytes = answer.read()
    except urllib.error.HTTPError as error:
        problem = f"HTTP status {error.code} {error.reason}"
    except urllib.error.URLError as error:
        problem = str(error.reason)
    except (OSError, http.client.HTTPException) as error:
        problem = str(error)
    else:
        return content
    raise FleetError(f"{url}: cannot be fetched: {problem}; run the same command again")
