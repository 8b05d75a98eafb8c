"""The stand-in's HTTP side: who may, which call it is, and what is answered."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from sandbox.github.documents import Document, Documents, account_id
from sandbox.github.repositories import Change, Commit, Person, Repositories, Repository, problem
from sandbox.github.repository_keys import DeployKeys
from sandbox.github.team_access import Team, Teams
from sandbox.internet import smart_http
from sandbox.internet.web import Handler, RequestError, TlsServer, segments

API = "/api/v3"
MOST_PER_PAGE = 100


class Access(IntEnum):
    """What a request's token allows."""

    NONE = 0
    READ = 1
    WRITE = 2


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """Who there is: the tokens belong to `user`; every other owner is an organization of theirs.

    `repository_tokens` is a folder in which OWNER/NAME is a file with a token that may do nothing
    but clone that one repository. A token is good as soon as its file is there.
    """

    user: str
    token: str
    read_token: str
    repository_tokens: Path | None = None

    def access(self, token: str) -> Access:
        """Tell what a token allows, in a time that does not depend on it."""
        writes = hmac.compare_digest(token.encode(), self.token.encode())
        reads = hmac.compare_digest(token.encode(), self.read_token.encode())
        return Access.WRITE if writes else Access.READ if reads else Access.NONE

    def may_clone(self, token: str, owner: str, name: str) -> bool:
        """Tell whether this is the one token that is for that repository only."""
        file = self.repository_tokens and self.repository_tokens / owner / name
        if not file or not file.is_file():
            return False
        return hmac.compare_digest(token.encode(), file.read_bytes().strip())

    def is_organization(self, owner: str) -> bool:
        """Tell an organization from the one user."""
        return owner != self.user


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What goes back: a JSON document, or none at all."""

    document: Document | list[Document] | None
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the API: the parts of its path by name, its query, and its JSON body."""

    parts: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    repositories: Repositories
    deploy_keys: DeployKeys
    teams: Teams
    accounts: Accounts
    documents: Documents

    def repository(self) -> Repository:
        """Return the repository in the path."""
        return self.repositories.get(self.parts["owner"], self.parts["name"])

    def writable(self) -> Repository:
        """Return the repository in the path, whose content is about to change."""
        repository = self.repository()
        if repository.settings()["archived"]:
            raise RequestError(403, "Repository was archived so is read-only.")
        return repository

    def organization(self) -> str:
        """Return the owner in the path, who must be an organization."""
        owner = self.parts["owner"]
        if not self.accounts.is_organization(owner):
            raise RequestError(404, "Not Found")
        return owner

    def team(self) -> Team:
        """Return the team in the path, by its number and its organization's: the owner there."""
        owner = self.organization()
        if str(account_id(owner)) != self.parts["organization"]:
            raise RequestError(404, "Not Found")
        return self.teams.by_id(owner, self.parts["team"])

    def describe(self, repository: Repository, status: int = HTTPStatus.OK) -> Answer:
        """Answer with a repository."""
        organization = self.accounts.is_organization(repository.owner)
        document = self.documents.repository(repository, organization=organization)
        return Answer(document=document, status=status)

    def text(self, key: str) -> str | None:
        """Return a text of the body, or none when it is absent or empty."""
        return _text(self.body, key)

    def required(self, key: str) -> str:
        """Return a text of the body that must be there."""
        value = self.text(key)
        if not value:
            raise RequestError(422, f'Invalid request.\n\n"{key}" wasn\'t supplied.')
        return value

    def change(self) -> Change:
        """Return the message and the people of a commit. Without people it is the token's user."""
        user = self.accounts.user
        default = Person(name=user, email=f"{user}@sandbox.invalid")
        committer = _given_person(self.body, "committer", default)
        author = _given_person(self.body, "author", committer)
        return Change(message=self.required("message"), author=author, committer=committer)


def get_organization(call: Call) -> Answer:
    """GET /orgs/{owner}: how the provider tells an organization from a user."""
    return Answer(document=call.documents.account(call.organization(), organization=True))


def get_user(call: Call) -> Answer:
    """GET /users/{owner} and GET /user."""
    owner = call.parts.get("owner", call.accounts.user)
    organization = call.accounts.is_organization(owner)
    return Answer(document=call.documents.account(owner, organization=organization))


def create_repository(call: Call) -> Answer:
    """POST /user/repos and POST /orgs/{owner}/repos."""
    owner = call.parts.get("owner", call.accounts.user)
    user = Person(name=call.accounts.user, email=f"{call.accounts.user}@sandbox.invalid")
    first = Change(message="Initial commit", author=user, committer=user)
    repository = call.repositories.create(
        owner,
        call.required("name"),
        _settings(call.body),
        first if call.body.get("auto_init") is True else None,
    )
    return call.describe(repository, HTTPStatus.CREATED)


def get_repository(call: Call) -> Answer:
    """GET /repos/{owner}/{name}."""
    return call.describe(call.repository())


def edit_repository(call: Call) -> Answer:
    """PATCH /repos/{owner}/{name}."""
    repository = call.repository()
    if (branch := call.text("default_branch")) and branch != repository.default_branch():
        repository.set_default_branch(branch)
    repository.save({**repository.settings(), **_settings(call.body)})
    if (name := call.text("name")) and name != repository.name:
        repository = call.repositories.rename(repository, name)
    return call.describe(repository)


def replace_topics(call: Call) -> Answer:
    """PUT /repos/{owner}/{name}/topics."""
    repository = call.repository()
    names = call.body.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError(422, "Validation Failed", [problem("names", "invalid")])
    repository.save({**repository.settings(), "topics": names})
    return Answer(document={"names": names})


def delete_repository(call: Call) -> Answer:
    """DELETE /repos/{owner}/{name}."""
    call.repositories.delete(call.repository())
    return Answer(document=None, status=HTTPStatus.NO_CONTENT)


def get_branch(call: Call) -> Answer:
    """GET /repos/{owner}/{name}/branches/{branch}."""
    repository, branch = call.repository(), call.parts["branch"]
    return Answer(document=_branch(call, repository, branch))


def rename_branch(call: Call) -> Answer:
    """POST /repos/{owner}/{name}/branches/{branch}/rename."""
    repository, new = call.writable(), call.required("new_name")
    repository.rename_branch(call.parts["branch"], new)
    return Answer(document=_branch(call, repository, new), status=HTTPStatus.CREATED)


def get_ref(call: Call) -> Answer:
    """GET /repos/{owner}/{name}/git/ref/{ref}."""
    repository, name = call.repository(), call.parts["ref"]
    sha = repository.ref(name)
    if sha is None:
        raise RequestError(404, "Not Found")
    return Answer(document=call.documents.ref(repository, name, sha))


def create_ref(call: Call) -> Answer:
    """POST /repos/{owner}/{name}/git/refs."""
    repository, sha = call.writable(), call.required("sha")
    name = call.required("ref").removeprefix("refs/")
    repository.create_ref(name, sha)
    document = call.documents.ref(repository, name, sha)
    return Answer(document=document, status=HTTPStatus.CREATED)


def delete_ref(call: Call) -> Answer:
    """DELETE /repos/{owner}/{name}/git/refs/{ref}."""
    call.writable().delete_ref(call.parts["ref"])
    return Answer(document=None, status=HTTPStatus.NO_CONTENT)


def get_contents(call: Call) -> Answer:
    """GET /repos/{owner}/{name}/contents/{path}: a file, or the list of a folder."""
    repository = call.repository()
    ref = call.query.get("ref") or repository.default_branch()
    commit = repository.resolve(ref)
    if commit is None:
        raise RequestError(404, f"No commit found for the ref {ref}")
    entry = repository.entry(commit, call.parts["path"])
    if entry is None:
        raise RequestError(404, "Not Found")
    if entry.kind == "tree":
        children = repository.children(entry)
        return Answer(
            document=[call.documents.content(repository, child, ref) for child in children]
        )
    data = repository.blob(entry.sha) if entry.kind == "blob" else None
    return Answer(document=call.documents.content(repository, entry, ref, data))


def put_contents(call: Call) -> Answer:
    """PUT /repos/{owner}/{name}/contents/{path}: one file, one commit."""
    repository, change = call.writable(), call.change()
    content = call.body.get("content")
    try:
        data = base64.b64decode(content, validate=False) if isinstance(content, str) else None
    except binascii.Error:
        raise RequestError(422, "content is not valid Base64") from None
    if data is None:
        raise RequestError(422, 'Invalid request.\n\n"content" wasn\'t supplied.')
    branch = call.text("branch")
    created, entry, commit = repository.put(
        call.parts["path"], data, branch, call.text("sha"), change
    )
    ref = branch or repository.default_branch()
    return Answer(
        document={
            "content": call.documents.content(repository, entry, ref),
            "commit": call.documents.commit(repository, commit),
        },
        status=HTTPStatus.CREATED if created else HTTPStatus.OK,
    )


def delete_contents(call: Call) -> Answer:
    """DELETE /repos/{owner}/{name}/contents/{path}."""
    repository, change = call.writable(), call.change()
    commit = repository.delete(call.parts["path"], call.text("branch"), call.text("sha"), change)
    return Answer(document={"content": None, "commit": call.documents.commit(repository, commit)})


def get_commit(call: Call) -> Answer:
    """GET /repos/{owner}/{name}/commits/{ref}, with the files that it changed."""
    repository = call.repository()
    commit = _commit_at(repository, call.parts["ref"])
    files = [
        {"filename": path, "status": status, "sha": sha}
        for path, status, sha in repository.changed_files(commit.sha)
    ]
    document = call.documents.repository_commit(repository, commit)
    return Answer(document={**document, "files": files})


def list_commits(call: Call) -> Answer:
    """GET /repos/{owner}/{name}/commits, by pages."""
    repository = call.repository()
    page = max(1, _number(call.query.get("page", ""), 1))
    size = min(max(1, _number(call.query.get("per_page", ""), 30)), MOST_PER_PAGE)
    start = repository.resolve(call.query.get("sha"))
    if start is None and not call.query.get("sha"):
        raise RequestError(409, "Git Repository is empty.")
    if start is None:
        raise RequestError(404, "Not Found")
    found = repository.commits(
        start, path=call.query.get("path", ""), skip=(page - 1) * size, most=size + 1
    )
    headers = {}
    if len(found) > size:
        query = urlencode({**call.query, "page": page + 1})
        address = f"{call.documents.base}{API}/repos/{repository.owner}/{repository.name}/commits"
        headers["Link"] = f'<{address}?{query}>; rel="next"'
    commits = [call.documents.repository_commit(repository, commit) for commit in found[:size]]
    return Answer(document=commits, headers=headers)


def list_deploy_keys(call: Call) -> Answer:
    """GET /repos/{owner}/{name}/keys: all on one page, a team has few."""
    repository = call.repository()
    keys = call.deploy_keys.all(repository)
    return Answer(document=[call.documents.deploy_key(repository, key) for key in keys])


def create_deploy_key(call: Call) -> Answer:
    """POST /repos/{owner}/{name}/keys. As on GitHub it may write unless `read_only` is given."""
    repository, title = call.writable(), call.text("title") or ""
    read_only = call.body.get("read_only") is True
    key = call.deploy_keys.add(repository, title, call.required("key"), read_only=read_only)
    document = call.documents.deploy_key(repository, key)
    return Answer(document=document, status=HTTPStatus.CREATED)


def get_deploy_key(call: Call) -> Answer:
    """GET /repos/{owner}/{name}/keys/{key}."""
    repository = call.repository()
    key = call.deploy_keys.get(repository, call.parts["key"])
    return Answer(document=call.documents.deploy_key(repository, key))


def delete_deploy_key(call: Call) -> Answer:
    """DELETE /repos/{owner}/{name}/keys/{key}."""
    call.deploy_keys.delete(call.writable(), call.parts["key"])
    return Answer(document=None, status=HTTPStatus.NO_CONTENT)


def create_team(call: Call) -> Answer:
    """POST /orgs/{owner}/teams."""
    owner = call.organization()
    team = call.teams.create(owner, call.required("name"))
    return Answer(document=call.documents.team(owner, team), status=HTTPStatus.CREATED)


def get_team(call: Call) -> Answer:
    """GET /orgs/{owner}/teams/{team}: how the provider finds a team's number by its slug."""
    owner = call.organization()
    team = call.teams.by_slug(owner, call.parts["team"])
    return Answer(document=call.documents.team(owner, team))


def get_team_repository(call: Call) -> Answer:
    """GET /organizations/{organization}/team/{team}/repos/{owner}/{name}.

    The repository and the team's role there, as GitHub gives it to who asks for that media type.
    """
    team, repository = call.team(), call.repository()
    permission = call.teams.permission(team, repository)
    return Answer(document=call.documents.team_repository(repository, permission))


def put_team_repository(call: Call) -> Answer:
    """PUT /organizations/{organization}/team/{team}/repos/{owner}/{name}."""
    call.teams.permit(call.team(), call.writable(), call.text("permission") or "pull")
    return Answer(document=None, status=HTTPStatus.NO_CONTENT)


def delete_team_repository(call: Call) -> Answer:
    """DELETE /organizations/{organization}/team/{team}/repos/{owner}/{name}."""
    call.teams.withdraw(call.team(), call.writable())
    return Answer(document=None, status=HTTPStatus.NO_CONTENT)


_REPO = r"/repos/(?P<owner>[^/]+)/(?P<name>[^/]+)"
_TEAM_REPO = rf"/organizations/(?P<organization>[0-9]+)/team/(?P<team>[0-9]+){_REPO}"
# Patterns see the path as it came, so that an escaped slash in a branch's name stays one part.
ROUTES: tuple[tuple[str, re.Pattern[str], Callable[[Call], Answer]], ...] = tuple(
    (method, re.compile(pattern), answer)
    for method, pattern, answer in (
        ("GET", r"/user", get_user),
        ("GET", r"/users/(?P<owner>[^/]+)", get_user),
        ("GET", r"/orgs/(?P<owner>[^/]+)", get_organization),
        ("POST", r"/user/repos", create_repository),
        ("POST", r"/orgs/(?P<owner>[^/]+)/repos", create_repository),
        ("GET", _REPO, get_repository),
        ("PATCH", _REPO, edit_repository),
        ("DELETE", _REPO, delete_repository),
        ("PUT", rf"{_REPO}/topics", replace_topics),
        ("GET", rf"{_REPO}/branches/(?P<branch>[^/]+)", get_branch),
        ("POST", rf"{_REPO}/branches/(?P<branch>[^/]+)/rename", rename_branch),
        ("GET", rf"{_REPO}/git/ref/(?P<ref>.+)", get_ref),
        ("POST", rf"{_REPO}/git/refs", create_ref),
        ("DELETE", rf"{_REPO}/git/refs/(?P<ref>.+)", delete_ref),
        ("GET", rf"{_REPO}/contents/?(?P<path>.*)", get_contents),
        ("PUT", rf"{_REPO}/contents/(?P<path>.+)", put_contents),
        ("DELETE", rf"{_REPO}/contents/(?P<path>.+)", delete_contents),
        ("POST", rf"{_REPO}/keys", create_deploy_key),
        ("GET", rf"{_REPO}/keys", list_deploy_keys),
        ("GET", rf"{_REPO}/keys/(?P<key>[0-9]+)", get_deploy_key),
        ("DELETE", rf"{_REPO}/keys/(?P<key>[0-9]+)", delete_deploy_key),
        ("POST", r"/orgs/(?P<owner>[^/]+)/teams", create_team),
        ("GET", r"/orgs/(?P<owner>[^/]+)/teams/(?P<team>[^/]+)", get_team),
        ("GET", _TEAM_REPO, get_team_repository),
        ("PUT", _TEAM_REPO, put_team_repository),
        ("DELETE", _TEAM_REPO, delete_team_repository),
        ("GET", rf"{_REPO}/commits", list_commits),
        ("GET", rf"{_REPO}/commits/(?P<ref>.+)", get_commit),
    )
)


class GitHubServer(TlsServer):
    """The stand-in on one port of 127.0.0.1, over the repositories of one folder."""

    def __init__(
        self,
        port: int,
        *,
        certificate: Path,
        key: Path,
        repositories: Repositories,
        deploy_keys: DeployKeys,
        accounts: Accounts,
        ssh_url: str,
    ) -> None:
        super().__init__(port, GitHubHandler, certificate=certificate, key=key)
        self.repositories = repositories
        self.deploy_keys = deploy_keys
        self.teams = Teams(repositories.directory)
        self.accounts = accounts
        self.ssh_url = ssh_url


class GitHubHandler(Handler):
    """One connection: calls of the API, and Git."""

    server: GitHubServer

    def answer(self) -> None:
        """Tell the API from Git."""
        path, _, query = self.path.partition("?")
        if path.startswith(f"{API}/"):
            self._answer_api(path.removeprefix(API).rstrip("/"), query)
        else:
            self._answer_git(path, query)

    def refuse(self, refusal: RequestError) -> None:
        """Answer with an error in GitHub's shape."""
        document: Document = {"message": refusal.message, "status": str(refusal.status.value)}
        if refusal.errors:
            document["errors"] = list(refusal.errors)
        self._send(Answer(document=document, status=refusal.status, headers=refusal.headers))

    def _answer_api(self, path: str, query: str) -> None:
        token = self._token()
        access = self.server.accounts.access(token)
        if access is Access.NONE:
            raise RequestError(401, "Bad credentials" if token else "Requires authentication")
        method = "GET" if self.command == "HEAD" else self.command
        answer, parts = _route(method, path)
        if method != "GET" and access is not Access.WRITE:
            raise RequestError(403, "Resource not accessible by personal access token")
        call = Call(
            parts=parts,
            query={key: values[0] for key, values in parse_qs(query).items()},
            body=self._json(),
            repositories=self.server.repositories,
            deploy_keys=self.server.deploy_keys,
            teams=self.server.teams,
            accounts=self.server.accounts,
            documents=Documents(f"https://{self._host()}", self.server.ssh_url),
        )
        if any("\0" in text for text in (*call.parts.values(), *call.query.values())):
            raise RequestError(404, "Not Found")
        self._send(answer(call))

    def _answer_git(self, path: str, query: str) -> None:
        request = smart_http.recognise(segments(path), query)
        if request is None or len(request.repository) != 2:
            raise RequestError(404, "Not Found")
        access = self.server.accounts.access(self._token())
        if self.server.accounts.may_clone(self._token(), *request.repository):
            access = Access.READ
        if access is Access.NONE:
            raise RequestError(401, "Authentication required", headers=_ASK_FOR_TOKEN)
        repository = self.server.repositories.get(*request.repository)
        pushing = request.service == "git-receive-pack"
        if pushing and (access is not Access.WRITE or repository.settings()["archived"]):
            raise RequestError(403, "Write access to repository not granted.")
        user = self.server.accounts.user if pushing else None
        smart_http.serve(self, request, repository.directory, query=query, user=user)

    def _token(self) -> str:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() in ("bearer", "token"):
            return value.strip()
        if kind.lower() == "basic":
            try:
                return base64.b64decode(value).decode().partition(":")[2]
            except ValueError:
                return ""
        return ""

    def _json(self) -> Mapping[str, Any]:
        with self.body() as file:
            text = file.read()
        if not text:
            return {}
        try:
            document = json.loads(text)
            # Half of a surrogate pair is a text that no file and no program's argument can hold.
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


_ASK_FOR_TOKEN = {"WWW-Authenticate": 'Basic realm="GitHub"'}


def _route(method: str, path: str) -> tuple[Callable[[Call], Answer], Mapping[str, str]]:
    for verb, pattern, answer in ROUTES:
        if verb == method and (match := pattern.fullmatch(path)):
            return answer, {
                name: unquote(text, errors="surrogateescape").strip("/")
                for name, text in match.groupdict().items()
            }
    raise RequestError(404, "Not Found")


def _text(body: Mapping[str, Any], key: str) -> str | None:
    value = body.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or "\0" in value:
        raise RequestError(422, f"Invalid request.\n\n{key} is not a text.")
    return value


def _given_person(body: Mapping[str, Any], role: str, default: Person) -> Person:
    given = body.get(role)
    if given is None:
        return default
    if not isinstance(given, dict):
        raise RequestError(422, f"Invalid request.\n\n{role} is not an object.")
    name, email = _text(given, "name"), _text(given, "email")
    if name is None or email is None:
        raise RequestError(422, f"Invalid request.\n\n{role} needs a name and an email.")
    return Person(name=name, email=email, date=_text(given, "date") or "")


def _settings(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body sets; `private` and `visibility` say the same thing in two ways."""
    given = {key: value for key, value in body.items() if value is not None and key != "id"}
    if "visibility" in given:
        given["private"] = given["visibility"] != "public"
    elif "private" in given:
        given["visibility"] = "private" if given["private"] else "public"
    return given


def _branch(call: Call, repository: Repository, branch: str) -> Document:
    head = repository.ref(f"heads/{branch}")
    if head is None:
        raise RequestError(404, "Branch not found")
    return call.documents.branch(repository, branch, repository.commits(head)[0])


def _commit_at(repository: Repository, ref: str) -> Commit:
    sha = repository.resolve(ref)
    if sha is None:
        raise RequestError(422, f"No commit found for SHA: {ref}")
    return repository.commits(sha)[0]


def _number(text: str, default: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else default
