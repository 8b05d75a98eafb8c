"""The stand-in's HTTPS server: it checks the token, then answers the REST API or Git."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from sandbox.github.accounts import token_in
from sandbox.github.api import routes
from sandbox.github.api.call import Answer, Call
from sandbox.github.api.routes import Route
from sandbox.github.documents import API, Document, Documents
from sandbox.github.store import Store
from sandbox.github.tokens import ANY, Grant
from sandbox.internet import smart_http
from sandbox.internet.web import Handler, RequestError, ServerCertificate, TlsServer, segments

_BASIC_CHALLENGE = {"WWW-Authenticate": 'Basic realm="GitHub"'}


class GitHubServer(TlsServer):
    """The stand-in on one port of 127.0.0.1. `ssh_url` is the address of its Git over SSH."""

    def __init__(
        self, port: int, certificate: ServerCertificate, store: Store, ssh_url: str
    ) -> None:
        super().__init__(port, GitHubHandler, certificate)
        self.store = store
        self.ssh_url = ssh_url


class GitHubHandler(Handler):
    """One connection for calls of the API and for Git."""

    server: GitHubServer

    def answer(self) -> None:
        """Answer REST calls at paths below `API`, and Git at every other path."""
        path, _, query = self.path.partition("?")
        if path.startswith(f"{API}/"):
            self._answer_api(path.removeprefix(API).rstrip("/"), query)
        else:
            self._answer_git(path, query)

    def refuse(self, refusal: RequestError) -> None:
        """Answer with an error in GitHub's format."""
        document: Document = {"message": refusal.message, "status": str(refusal.status.value)}
        if refusal.errors:
            document["errors"] = list(refusal.errors)
        self._send(Answer(document=document, status=refusal.status, headers=refusal.headers))

    def _answer_api(self, path: str, query: str) -> None:
        token = self._token()
        grant = self.server.store.accounts.grant(token)
        if grant is None:
            raise RequestError(401, "Bad credentials" if token else "Requires authentication")
        method = "GET" if self.command == "HEAD" else self.command
        route, parts = routes.find(method, path)
        owner = parts.get("owner", self.server.store.accounts.user)
        _refuse_without_permission(grant, route, owner, parts.get("name"))
        call = Call(
            parts=parts,
            query={key: values[0] for key, values in parse_qs(query).items()},
            body=self._json_body(),
            store=self.server.store,
            documents=Documents(f"https://{self._host()}", self.server.ssh_url),
        )
        if any("\0" in text for text in (*call.parts.values(), *call.query.values())):
            raise RequestError(404, "Not Found")
        self._send(route.endpoint(call))

    def _answer_git(self, path: str, query: str) -> None:
        request = smart_http.recognise(segments(path), query)
        if request is None or len(request.repository) != 2:
            raise RequestError(404, "Not Found")
        store, token = self.server.store, self._token()
        grant = store.accounts.grant(token)
        if grant is None:
            raise RequestError(401, "Authentication required", headers=_BASIC_CHALLENGE)
        if not grant.reaches(*request.repository):
            raise RequestError(404, "Not Found")
        repository = store.repositories.get(*request.repository)
        pushing = request.service == "git-receive-pack"
        allowed = grant.allows({"contents": "write" if pushing else "read"})
        if not allowed or (pushing and repository.settings()["archived"]):
            raise RequestError(403, "Write access to repository not granted.")
        user = store.accounts.user if pushing else None
        smart_http.serve(self, request, repository.directory, query=query, user=user)

    def _token(self) -> str:
        return token_in(self.headers.get("Authorization", ""))

    def _json_body(self) -> Mapping[str, Any]:
        with self.body() as file:
            text = file.read()
        if not text:
            return {}
        try:
            document = json.loads(text)
            # JSON can hold half of a surrogate pair. Such a text fits in no file and in no argument
            # of a program, so it is refused here.
            json.dumps(document, ensure_ascii=False).encode()
        except ValueError:
            raise RequestError(400, "Problems parsing JSON") from None
        if not isinstance(document, dict):
            raise RequestError(400, "Body should be a JSON object")
        return document

    def _host(self) -> str:
        host = self.headers.get("Host", "")
        return host if re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", host) else "127.0.0.1"

    def _send(self, answer: Answer) -> None:
        headers = dict(answer.headers or {})
        if answer.document is None:
            self.reply(answer.status, headers=headers)
            return
        body = json.dumps(answer.document).encode()
        headers["Content-Type"] = "application/json; charset=utf-8"
        if answer.status == HTTPStatus.OK and self.command in ("GET", "HEAD"):
            headers["ETag"] = f'W/"{hashlib.sha256(body).hexdigest()}"'
            if headers["ETag"] in self.headers.get("If-None-Match", ""):
                self.reply(HTTPStatus.NOT_MODIFIED, headers=headers)
                return
        self.reply(answer.status, body, headers)


def _refuse_without_permission(grant: Grant, route: Route, owner: str, name: str | None) -> None:
    """Refuse a call as GitHub does: what a token cannot reach does not exist for it.

    A call without the name of a repository is about its owner.
    """
    if name is not None and not grant.reaches(owner, name):
        raise RequestError(404, "Not Found")
    if route.needs and not (grant.owns(owner) and grant.allows(route.needs)):
        raise RequestError(403, "Resource not accessible by personal access token")
    # A new repository is none of those that a person has selected for a token.
    if route.makes_repository and not grant.reaches(owner, ANY):
        raise RequestError(403, "Resource not accessible by personal access token")
