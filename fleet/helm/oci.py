"""Charts in an OCI registry, read over its HTTP API without credentials."""

from __future__ import annotations

import hashlib
import json
import re
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from fleet import https
from fleet.errors import FleetError
from fleet.kube.fields import mappings_in

# The layer of an artifact that is a packaged chart.
CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_NEXT = re.compile(r'<([^>]+)>;\s*rel="?next"?')
# A registry that answers with more pages of tags is broken.
_PAGES = 1000


@dataclass(kw_only=True)
class Repository:
    """A repository of a registry; `url` is its `oci://` URL."""

    url: str
    _token: str | None = field(default=None, init=False)

    def tags(self) -> list[str]:
        """Return all tags. Raises FleetError."""
        found: list[str] = []
        url = self._api("tags/list?n=1000")
        for _ in range(_PAGES):
            page = self._get(url)
            listed = self._json(url, page.content).get("tags")
            found += map(str, listed) if isinstance(listed, list) else ()
            more = _NEXT.search(page.headers.get("link", ""))
            if more is None:
                return found
            url = self._same_host(urllib.parse.urljoin(url, more[1]))
        raise FleetError(f"{self.url}: has too many tags; name one version")

    def manifest(self, reference: str) -> tuple[str, dict[str, Any]]:
        """Return the digest of the manifest at a tag or digest, and the manifest."""
        url = self._api(f"manifests/{reference}")
        content = self._get(url, ", ".join(_MANIFESTS)).content
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if reference.startswith("sha256:") and reference != digest:
            raise FleetError(f"{url}: has the digest {digest}; find out who answers")
        return digest, self._json(url, content)

    def layer(self, manifest: dict[str, Any], media_type: str) -> bytes:
        """Return the first layer of a manifest with a media type, or the first for no type."""
        layers = mappings_in(manifest.get("layers"))
        digests = [
            str(layer.get("digest"))
            for layer in layers
            if not media_type or layer.get("mediaType") == media_type
        ]
        if not digests:
            raise FleetError(
                f"{self.url}: has no layer {media_type}; name an artifact with a chart"
            )
        content = self._get(self._api(f"blobs/{digests[0]}")).content
        if digests[0] != f"sha256:{hashlib.sha256(content).hexdigest()}":
            raise FleetError(f"{self.url}: a layer has not the digest {digests[0]}; try again")
        return content

    def _api(self, path: str) -> str:
        parts = urllib.parse.urlsplit(self.url)
        return f"https://{parts.netloc}/v2{parts.path.rstrip('/')}/{path}"

    def _same_host(self, url: str) -> str:
        parts = urllib.parse.urlsplit(url)
        if (parts.scheme, parts.netloc) != ("https", urllib.parse.urlsplit(self.url).netloc):
            raise FleetError(f"{self.url}: the list of tags goes on at {parts.hostname}; ask who")
        return url

    def _get(self, url: str, accept: str = "*/*") -> https.Answer:
        headers = {"Accept": accept}
        try:
            return https.answer(url, headers, self._token)
        except https.StatusError as error:
            if error.status != 401 or self._token is not None:
                raise
            self._token = self._anonymous_token(error.headers.get("www-authenticate", ""))
        return https.answer(url, headers, self._token)

    def _anonymous_token(self, challenge: str) -> str:
        """Return the token that a registry gives to everyone, as its challenge says."""
        parameters = dict(_PARAMETER.findall(challenge))
        realm = parameters.pop("realm", "")
        if not challenge.lower().startswith("bearer ") or not realm.startswith("https://"):
            raise FleetError(f"{self.url}: is not public; its charts cannot be fetched here")
        query = urllib.parse.urlencode(
            {key: value for key, value in parameters.items() if key in ("service", "scope")}
        )
        answer = self._json(realm, https.get(f"{realm}?{query}"))
        return str(answer.get("token") or answer.get("access_token") or "")

    def _json(self, url: str, content: bytes) -> dict[str, Any]:
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise FleetError(f"{url}: the answer is no JSON object; find out who answers")
        return found
