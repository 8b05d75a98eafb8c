"""The decisions: `Pulumi.yaml` and `Pulumi.<stack>.yaml`, read and validated once, strictly.

The files are read here and not through the engine, so that `fleet render` and `fleet check` decide
from the very same text as `pulumi up`, without engine, network or credentials.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from fleet.errors import ConfigError

PROJECT = "fleet"
PROJECT_FILE = "Pulumi.yaml"
KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
# Keys of which a cluster's own file is the only place: membership is never implicit.
CLUSTER_KEYS = ("cluster", "infrastructure", "apps")
# Keys that Pulumi.yaml may set for all clusters.
SHARED_KEYS = ("repository", "flux")
# The rest of what `pulumi` itself keeps in a stack file.
ENGINE_KEYS = ("encryptionsalt", "secretsprovider", "encryptedkey", "environment")

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_STACK_FILE = re.compile(r"Pulumi\.(?P<stack>.+)\.ya?ml")


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        hide_input_in_errors=True,
    )


def _https_or_ssh(url: str) -> str:
    if not re.fullmatch(r"(https|ssh)://[^\s/]+/\S+", url):
        raise ValueError("must be an https:// or ssh:// URL")
    if re.match(r"https://[^/]*@", url) or re.match(r"ssh://[^/@]*:[^/@]*@", url):
        raise ValueError(
            "must not carry a user or a password, Git would keep it for ever; use fleet:pullToken"
        )
    return url


def _https(url: str) -> str:
    if not re.fullmatch(r"https://[^\s/@]+(/\S*)?", url):
        raise ValueError("must be an https:// URL without user or password")
    return url


def _path_or_https(where: str) -> str:
    if "://" in where:
        try:
            return _https(where)
        except ValueError as error:
            raise ValueError(f"{error}, or a path") from None
    return where


NonEmpty = Annotated[str, Field(min_length=1, pattern=r"^\S(.*\S)?$")]
GitHubName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Repository(_Strict):
    """The one Git repository that every cluster pulls."""

    owner: GitHubName = Field(description="GitHub user or organization")
    name: GitHubName = Field(description="repository name, without the owner")
    branch: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")] = Field(
        default="main", description="branch that `pulumi up` commits to and Flux pulls"
    )
    url: Annotated[str, AfterValidator(_https_or_ssh)] | None = Field(
        default=None, description="URL that Flux pulls; https://github.com/<owner>/<name> if absent"
    )
    api_url: Annotated[str, AfterValidator(_https)] = Field(
        default="https://api.github.com/",
        description="GitHub's API; another one for GitHub Enterprise Server",
    )

    @property
    def pull_url(self) -> str:
        """The URL that Flux pulls."""
        return self.url or f"https://github.com/{self.owner}/{self.name}"


class Cluster(_Strict):
    """The connection to exactly one cluster, and what kind of cluster it is."""

    kubeconfig: NonEmpty = Field(description="path of the kubeconfig file; ~ is your home")
    context: NonEmpty = Field(description="context in that file; never the current one")
    environment: Annotated[str, Field(pattern=f"^{_DNS_LABEL.pattern}$")] | None = Field(
        default=None,
        description="dev, test, prod, ...: which overlays are this cluster's; its name if absent",
    )


class Entry(_Strict):
    """One shared definition that this cluster gets."""

    path: NonEmpty = Field(description="folder below infrastructure/ or apps/")
    because: NonEmpty | None = Field(
        default=None, description="why this cluster gets what is named after another environment"
    )


def _entry(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


class _OrPathSchema:
    """Tells editors that an entry may be just its path."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(core)]}


EntryOrPath = Annotated[Entry, BeforeValidator(_entry), _OrPathSchema()]


class Flux(_Strict):
    """Which Flux a cluster runs, and where its install manifests come from."""

    version: Annotated[str, Field(pattern=r"^v\d+\.\d+\.\d+$")] = Field(
        description="release of Flux, as v2.9.2"
    )
    manifests: Annotated[NonEmpty, AfterValidator(_path_or_https)] | None = Field(
        default=None,
        description="path or https:// URL of install.yaml; the GitHub release's if absent",
    )
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="checksum of install.yaml; anything else is refused"
    )


class Decisions(_Strict):
    """Everything below `fleet:` that is decided for one cluster."""

    repository: Repository
    flux: Flux
    cluster: Cluster
    infrastructure: tuple[EntryOrPath, ...] = Field(
        strict=False, description="folders below infrastructure/, in order"
    )
    apps: tuple[EntryOrPath, ...] = Field(strict=False, description="folders below apps/, in order")
    pull_token: Literal["secure"] | None = Field(
        default=None,
        description="read-only token with which Flux pulls a private repository; only as a secret",
    )


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One cluster: its name, its decisions, and the file that holds them."""

    name: str
    file: str
    decisions: Decisions

    @property
    def environment(self) -> str:
        """What kind of cluster this is; overlays are chosen by it."""
        return self.decisions.cluster.environment or self.name

    @property
    def path(self) -> str:
        """The only path of the repository that this cluster pulls."""
        return f"clusters/{self.name}"


def stack_names(root: Path) -> list[str]:
    """Return the names of all stack files in `root`, sorted, valid or not."""
    files = root.iterdir() if root.is_dir() else ()
    matches = (_STACK_FILE.fullmatch(file.name) for file in files if file.is_file())
    return sorted({match["stack"] for match in matches if match})


def load(root: Path, name: str) -> Stack:
    """Read and validate one stack. Raises ConfigError with every problem found."""
    file = f"Pulumi.{name}.yaml"
    if not _DNS_LABEL.fullmatch(name):
        raise ConfigError(
            [
                f"{file}: stack name {name!r} cannot be a folder and a DNS label; "
                "use lower-case letters, digits and '-', at most 63, as in prod-us-east-1"
            ]
        )
    if not (root / file).is_file():
        if (root / f"Pulumi.{name}.yml").is_file():
            raise ConfigError([f"Pulumi.{name}.yml: is not read; rename it to {file}"])
        known = ", ".join(stack_names(root)) or "none"
        raise ConfigError([f"{file}: no such file in {root}; stacks here: {known}"])
    problems: list[str] = []
    try:
        shared = _shared(root, problems)
        own = _own(root, file, problems)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    values = shared | own
    files = dict.fromkeys(shared, PROJECT_FILE) | dict.fromkeys(own, file)
    decisions = _validate(values, file, files, problems)
    problems += _entry_problems(root, name, file, values)
    problems += _collisions(root, name, file, values)
    if decisions is None or problems:
        raise ConfigError(problems)
    return Stack(name=name, file=file, decisions=decisions)


def load_all(root: Path) -> list[Stack]:
    """Read and validate every stack in `root`. Raises ConfigError with every problem of all."""
    names = stack_names(root)
    if not names:
        raise ConfigError([f"{root}: no Pulumi.<stack>.yaml here; add one for each cluster"])
    stacks: list[Stack] = []
    problems: list[str] = []
    for name in names:
        try:
            stacks.append(load(root, name))
        except ConfigError as error:
            problems += error.problems
    if problems:
        # Problems of the shared file would otherwise be told once a stack.
        raise ConfigError(list(dict.fromkeys(problems)))
    return stacks


def refuse_ambient(environ: Mapping[str, str], stack: Stack) -> None:
    """Refuse surroundings that would beat what the stack says. Raises ConfigError.

    The GitHub provider lets these variables win over its own `owner` argument.
    """
    owner = stack.decisions.repository.owner
    problems = [
        f"{variable}={environ[variable]} in the environment would beat {stack.file}: "
        f"fleet:repository.owner {owner!r}; unset {variable}"
        for variable in ("GITHUB_OWNER", "GITHUB_ORGANIZATION")
        if environ.get(variable) not in (None, "", owner)
    ]
    if problems:
        raise ConfigError(problems)


def same_as_engine(stack: Stack, root: Path, engine: Mapping[str, Any]) -> None:
    """Refuse an engine that was given other decisions than the files hold. Raises ConfigError.

    `engine` maps every key of SHARED_KEYS and CLUSTER_KEYS to the engine's value, None where it
    has none. They differ when somebody uses --config-file: what runs would not be what Git says.
    """
    files = _shared(root, []) | _own(root, stack.file, [])
    problems = [
        f"{stack.file}: fleet:{key}: is not what the engine was given; decide in this file and "
        "run without --config-file"
        for key, value in engine.items()
        if files.get(key) != value
    ]
    if problems:
        raise ConfigError(problems)


def _shared(root: Path, problems: list[str]) -> dict[str, Any]:
    """What Pulumi.yaml sets for all clusters, by key below `fleet:`."""
    content = _read(root / PROJECT_FILE)
    values: dict[str, Any] = {}
    for key, item in _mapping(content.get("config"), PROJECT_FILE, "config").items():
        name = _name(key, PROJECT_FILE, problems)
        if name is None:
            continue
        if name in CLUSTER_KEYS:
            problems.append(
                f"{PROJECT_FILE}: {key}: would reach every cluster unseen; "
                "set it in each Pulumi.<stack>.yaml"
            )
        elif name == "pullToken":
            problems.append(
                f"{PROJECT_FILE}: {key}: a secret is one stack's; use "
                "`pulumi config set --secret fleet:pullToken -s <stack>` for each"
            )
        elif not isinstance(item, dict) or set(item) != {"value"}:
            problems.append(f"{PROJECT_FILE}: {key}: write the shared value below `value:`")
        else:
            values[name] = item["value"]
    return values


def _own(root: Path, file: str, problems: list[str]) -> dict[str, Any]:
    """What a stack's own file sets, by key below `fleet:`."""
    content = _read(root / file)
    for key in content:
        if key not in ("config", *ENGINE_KEYS):
            problems.append(f"{file}: {key}: unknown key; decisions go below `config:`")
    values: dict[str, Any] = {}
    for key, value in _mapping(content.get("config"), file, "config").items():
        name = _name(key, file, problems)
        if name is not None:
            values[name] = value
    if (token := values.get("pullToken")) is not None:
        if isinstance(token, dict) and set(token) == {"secure"}:
            values["pullToken"] = "secure"
        else:
            del values["pullToken"]
            problems.append(
                f"{file}: fleet:pullToken: is readable by all who read this file; revoke it and "
                "use `pulumi config set --secret fleet:pullToken`"
            )
    return values


def _name(key: object, file: str, problems: list[str]) -> str | None:
    """The part of a key of `config:` behind `fleet:`, None for another namespace's."""
    namespace, colon, name = str(key).partition(":")
    if not colon:
        problems.append(f"{file}: {key}: has no namespace; write {PROJECT}:{key}")
    return name if colon and namespace == PROJECT else None


class _TwiceError(yaml.MarkedYAMLError):
    """A mapping has a key twice."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a mapping that has a key twice, where YAML would drop the first one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.endswith(":merge"):
                continue
            if key_node.value in seen:
                raise _TwiceError(
                    problem=f"key {key_node.value!r} is there twice; keep one",
                    problem_mark=key_node.start_mark,
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigError(
            [f"{path.name}: cannot be read: {error.strerror}; it belongs in {path.parent}"]
        ) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path.name}: is not UTF-8 text; save it as UTF-8"]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        said = getattr(error, "problem", None) or "has characters that YAML does not allow"
        if not isinstance(error, _TwiceError):
            said = f"is not YAML: {said}; mend it there or just before"
        raise ConfigError([f"{path.name}:{line} {said}"]) from None
    return _mapping(content, path.name, "the file")


def _mapping(value: object, file: str, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError([f"{file}: {what}: must be a mapping, `key: value` lines"])
    return value


def _validate(
    values: Mapping[str, Any], file: str, files: Mapping[str, str], problems: list[str]
) -> Decisions | None:
    """The model, or None and its problems. `files` tells which file set a key."""
    try:
        return Decisions.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            where = files.get(str(detail["loc"][0]), file)
            problems.append(_say(where, values, detail["loc"], detail["type"], detail["msg"]))
        return None


_TYPE_NAMES = {
    "string_type": "must be a text; quote it",
    "tuple_type": "must be a list, `- entry` lines ([] for none)",
    "model_type": "must be a mapping, `key: value` lines",
    "string_too_short": "must not be empty; name it",
}
_PATTERNS = {
    "owner": "must be a GitHub name: letters, digits, '.', '_' and '-'",
    "name": "must be a GitHub name: letters, digits, '.', '_' and '-'",
    "branch": "must be a branch: letters, digits, '.', '_', '-' and '/'",
    "environment": "must be lower-case letters, digits and '-', as in prod",
    "version": "must be a release, as v2.9.2",
    "sha256": "must be 64 lower-case hexadecimal digits",
}


def _say(
    file: str, values: Mapping[str, Any], loc: Sequence[int | str], kind: str, message: str
) -> str:
    """One line for one finding of pydantic: file, key, value, remedy."""
    key = "fleet:" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    key = key.replace("fleet:.", "fleet:")
    if kind == "missing":
        where = f" (or {PROJECT_FILE})" if list(loc) in [[key] for key in SHARED_KEYS] else ""
        return f"{file}: {key}: missing; set it in this file{where}"
    if kind == "extra_forbidden":
        known = _known_keys(loc[:-1])
        close = difflib.get_close_matches(str(loc[-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
        return f"{file}: {key}: unknown key; {hint}"
    if kind == "invalid_key":
        return f"{file}: {key}: the key is no text; quote it"
    value = _at(values, loc)
    said = _TYPE_NAMES.get(kind, message.removeprefix("Value error, "))
    if kind == "string_pattern_mismatch":
        said = _PATTERNS.get(str(loc[-1]), "must be one line without blanks around it")
    elif kind == "model_type" and len(loc) > 1:
        said = "must be a path, or {path: ..., because: ...}"
    elif kind == "string_type" and isinstance(value, (dict, list)):
        said = "must be a single text"
    if value is None:
        return f"{file}: {key}: has no value; it {said.removesuffix('; quote it')}"
    if isinstance(value, str) and not value.strip():
        said = "must not be empty; name it"
    return f"{file}: {key}: {_shown(value)} {said}"


def _at(values: Mapping[str, Any], loc: Sequence[int | str]) -> object:
    value: Any = values
    for part in loc:
        try:
            value = value[part]
        except (LookupError, TypeError):
            break  # an entry that is only its path is no mapping
    return value


def _shown(value: object) -> str:
    """A value as it may stand in a log: a password in a URL may not."""
    return re.sub(r"//[^/\s]*@", "//***@", repr(value))


def _known_keys(loc: Sequence[int | str]) -> list[str]:
    models: dict[str, type[BaseModel]] = {
        "repository": Repository,
        "cluster": Cluster,
        "flux": Flux,
        "infrastructure": Entry,
        "apps": Entry,
    }
    model = models[str(loc[0])] if loc else Decisions
    return [field.alias or name for name, field in model.model_fields.items()]


def _entry_problems(root: Path, name: str, file: str, values: Mapping[str, Any]) -> Iterable[str]:
    """What is wrong with the entries, also when other values are: all is told at once."""
    cluster = values.get("cluster")
    environment = cluster.get("environment") if isinstance(cluster, dict) else None
    if not (isinstance(environment, str) and _DNS_LABEL.fullmatch(environment)):
        environment = name
    for key in ("infrastructure", "apps"):
        seen: set[str] = set()
        entries = values.get(key)
        for index, item in enumerate(entries if isinstance(entries, list) else ()):
            try:
                entry = Entry.model_validate(_entry(item))
            except ValidationError:
                continue  # told by the model
            if problem := _entry_problem(root / key, entry, environment, seen):
                yield f"{file}: fleet:{key}[{index}]: {entry.path!r} {problem}"
            seen.add(entry.path)


def _entry_problem(folder: Path, entry: Entry, environment: str, seen: set[str]) -> str | None:
    parts = entry.path.split("/")
    if entry.path.startswith("/"):
        return f"is absolute; write it relative to {folder.name}/"
    if ".." in parts:
        return f"leaves {folder.name}/; name a folder below it without '..'"
    if "" in parts or "." in parts:
        return "is not plain; write it without '.', '//' or a '/' at the end"
    if not re.fullmatch(r"[A-Za-z0-9._/-]+", entry.path):
        return "has odd characters; use letters, digits, '-', '_' and '.'"
    if entry.path in seen:
        return "is there twice; keep one"
    if not any((folder / entry.path / name).is_file() for name in KUSTOMIZATION_FILES):
        existing = definitions(folder)
        close = difflib.get_close_matches(entry.path, existing, n=3)
        hint = (
            f"did you mean {' or '.join(close)}?"
            if close
            else f"there are: {', '.join(existing) or 'none'}"
        )
        return f"has no kustomization.yaml below {folder.name}/; {hint}"
    other = other_environment(entry.path, environment)
    if other is not None and entry.because is None:
        return (
            f"is {other}'s and this cluster's environment is {environment}; take {environment}'s, "
            f"or say why: {{path: {entry.path}, because: ...}}"
        )
    return None


def definitions(folder: Path) -> list[str]:
    """Return the folders below `folder` that can be an entry, relative to it, sorted."""
    return sorted(
        {
            found.parent.relative_to(folder).as_posix()
            for name in KUSTOMIZATION_FILES
            for found in folder.rglob(name)
        }
    )


def other_environment(path: str, environment: str) -> str | None:
    """Return the environment that an entry is meant for when it is not the given one.

    `<thing>/overlays/<environment>` and `<set>/<environment>-only` name one.
    """
    parts = path.split("/")
    for before, part in zip(["", *parts], parts, strict=False):
        meant = part if before == "overlays" else part.removesuffix("-only")
        if (before == "overlays" or part.endswith("-only")) and meant != environment:
            return meant
    return None


def _collisions(root: Path, name: str, file: str, values: Mapping[str, Any]) -> Iterable[str]:
    """Two stacks on one cluster would take turns in making it theirs."""
    mine = _address(values)
    for other in stack_names(root):
        their_file = f"Pulumi.{other}.yaml"
        if other == name or mine is None:
            continue
        try:
            theirs = _address(_own(root, their_file, []))
        except ConfigError:
            continue  # told where that stack is loaded
        if theirs == mine:
            yield (
                f"{file}: fleet:cluster.context: {mine[1]!r} is also {their_file}'s; "
                "one cluster has one stack"
            )


def _address(values: Mapping[str, Any]) -> tuple[str, str] | None:
    cluster = values.get("cluster")
    if not isinstance(cluster, dict):
        return None
    kubeconfig, context = cluster.get("kubeconfig"), cluster.get("context")
    return (
        (kubeconfig, context) if isinstance(kubeconfig, str) and isinstance(context, str) else None
    )
