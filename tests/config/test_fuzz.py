"""Stack files with any content: no traceback, and each problem is one line with the file's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.config import keys, load
from fleet.config.keys import Location
from fleet.errors import ConfigError
from fleet.render import tree
from tests.support import FILES, stack_file, write

pytestmark = pytest.mark.slow

FILE_NAMES = ("Pulumi.dev.yaml", "Pulumi.yaml")
LOCATIONS = [location for location, _ in keys.all_declared() if location]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(
        [
            "dev", "podinfo/base", "a" * 300, "9" * 5000, "~nosuchuser/x", "~\0", "1e3", "=", "<<",
            "https://h:abc/x", "ssh://git@github.com/acme/x", "5m", "9999999h", "v2.9.2", "a\nb",
            10**4000, -(10**4000), float("nan"), "github.com ssh-rsa AAAA", "x\u2028y",
        ]
    ),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(SCALARS, inner, max_size=3)
    ),
    max_leaves=6,
)
SPELLINGS = st.sampled_from(
    [
        "!!bool maybe", "!!int x", "!!float ''", "!!set [a]", "!!map [a]", "!!seq {a: b}", "!x y",
        "!!omap a", "!!binary é", "!!timestamp x", "2024-13-45", f"0x{'f' * 5000}", "*a", "=", "|",
        f"{{0x{'f' * 5000}: {{}}}}", f"1{':59' * 3000}", "&a [*a]", "{? [a] : b}", "{? {a: b} : c}",
        "<<: 5", "{<<: [5]}", "{a: 1, a: 2}", "[" * 200, "{a: " * 200, "&a [x, x], b: [*a, *a]",
        "\t", "'\0'", '"\\ud800"', "%YAML 9.9",
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small valid checkout, whose stack file each example writes anew."""
    root = tmp_path_factory.mktemp("fuzz")
    write(root, FILES)
    return root


def is_refused_or_renders(root: Path, file: str, content: bytes) -> None:
    """Load the stack dev with a file of this content, and render its tree if it is accepted."""
    write(root, {name: FILES[name] for name in FILE_NAMES})
    (root / file).write_bytes(content)
    try:
        stack = load.stack(root, "dev")
    except ConfigError as error:
        assert error.problems
        for line in error.problems:
            assert line.startswith(tuple(f"{name}: " for name in FILE_NAMES)), line
            assert line.isprintable(), line
            assert len(line) < 1500
        return
    for path, text in tree.render(stack, None).items():
        assert path.startswith("clusters/dev/")
        assert list(yaml.load_all(text, Loader=yaml.CSafeLoader)), path


@given(
    file=st.sampled_from(FILE_NAMES),
    content=st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")),
)
def test_any_bytes(file: str, content: bytes, root: Path) -> None:
    is_refused_or_renders(root, file, content)


@given(file=st.sampled_from(FILE_NAMES), value=VALUES)
def test_any_yaml(file: str, value: Any, root: Path) -> None:  # noqa: ANN401 - any value
    is_refused_or_renders(root, file, dumped({"config": value}))
    is_refused_or_renders(root, file, dumped(value))


@settings(max_examples=200)
@given(file=st.sampled_from(FILE_NAMES), location=st.sampled_from(LOCATIONS), value=VALUES)
def test_any_value_of_any_key(file: str, location: Location, value: Any, root: Path) -> None:  # noqa: ANN401
    """The other keys are those of a valid stack file."""
    is_refused_or_renders(root, file, dumped(with_value(file, location, value)))


@given(location=st.sampled_from(LOCATIONS), key=SCALARS)
def test_any_key_beside_a_known_one(location: Location, key: Any, root: Path) -> None:  # noqa: ANN401
    beside = (*location[:-1], key)
    is_refused_or_renders(root, FILE_NAMES[0], dumped(with_value(FILE_NAMES[0], beside, "x")))


@given(
    spelling=SPELLINGS,
    key=st.sampled_from(
        ["fleet:tenantDefaults", "fleet:x", "example:x", "fleet:tenantCredentials"]
    ),
)
def test_any_spelling(spelling: str, key: str, root: Path) -> None:
    content = stack_file("dev", more=f"  {key}: {spelling}\n").encode()
    is_refused_or_renders(root, FILE_NAMES[0], content)


def with_value(file: str, location: Location, value: object) -> dict[str, Any]:
    """Return the content of a valid file in which one value is another."""
    content: dict[str, Any] = yaml.safe_load(FILES[file])
    first, *rest = location
    for part in reversed(rest):
        value = [value] if part == 0 and isinstance(part, int) else {part: value}
    content["config"][f"fleet:{first}"] = {"value": value} if file == "Pulumi.yaml" else value
    return content


def dumped(content: object) -> bytes:
    """Return a value as YAML."""
    text: str = yaml.safe_dump(content, allow_unicode=True)
    return text.encode("utf-8", "surrogatepass")
