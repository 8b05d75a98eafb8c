"""The language of Flux's variables: `${name}` and the functions of bash, read as Flux reads them.

Flux refuses some texts that bash accepts, and accepts some that bash refuses. So each step of its
parser has its step here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# Decides whether a character is part of a token; the number is its place in the token.
_Accept = Callable[[str, int], bool]
_SPECIAL = re.compile(r"\$[${]")
_LONGEST = 60


class SubstitutionError(ValueError):
    """A text that Flux refuses. `expression` is what it cannot read, on one line."""

    def __init__(self, expression: str, problem: str) -> None:
        super().__init__(f"{expression} {problem}")
        self.expression = expression


@dataclass(frozen=True, kw_only=True)
class Expression:
    """One `${...}`: the variable, the function and its arguments, and the text as it is written."""

    name: str
    text: str
    function: str = ""
    arguments: tuple[str | Expression, ...] = ()

    def all(self) -> Iterator[Expression]:
        """Yield the expression and those in its arguments."""
        yield self
        for argument in self.arguments:
            if isinstance(argument, Expression):
                yield from argument.all()


# A text without variables, or an expression.
Part = str | Expression


def parse(text: str) -> list[Part]:
    """Return the parts of a text, in order. Raises SubstitutionError."""
    parser = _Parser(text=text)
    parts: list[Part] = []
    while special := _SPECIAL.search(text, parser.position):
        before = text[parser.position : special.start()]
        parser.position = special.start()
        if special[0] == "$$":
            # Two dollar signs stand for one, which begins no variable.
            parser.position += 2
            parts.append(f"{before}$")
        else:
            parts += [before, parser.expression()] if before else [parser.expression()]
    rest = text[parser.position :]
    return [*parts, rest] if rest else parts


@dataclass(kw_only=True)
class _Parser:
    """A position in a text, and the position at which the current expression begins."""

    text: str
    position: int = 0
    begun: int = 0

    def expression(self) -> Expression:
        """Return the expression at the position, and go on behind it."""
        start = self.position
        outer, self.begun = self.begun, start
        self.position += 2
        name, function, arguments = self._length() if self._next() == "#" else self._named()
        self.begun = outer
        return Expression(
            name=name,
            text=self.text[start : self.position],
            function=function,
            arguments=tuple(arguments),
        )

    def _next(self, ahead: int = 0) -> str:
        """Return a character, empty at the end of the text."""
        at = self.position + ahead
        return self.text[at : at + 1]

    def _length(self) -> tuple[str, str, list[Part]]:
        self.position += 1
        name = self._token(_is_of_name)
        self._close()
        return name, "#", []

    def _named(self) -> tuple[str, str, list[Part]]:
        name = self._token(_is_of_name)
        first, second = self._next(), self._next(1)
        if first == ":" and second not in {"=", "-", "?", "+"}:
            return name, first, self._bounds()
        function, arguments = "", list[Part]()
        if first in {":", "="}:
            function = first + (second if first == ":" else "")
            self.position += len(function)
            while self._next() != "}":
                arguments.append(self._argument(_is_not_closing))
        elif first in {",", "^"}:
            function = self._token(lambda character, place: character in ",^" and place < 3)
        elif first in {"#", "%"}:
            function = self._token(lambda character, place: character == first and place < 3)
            arguments.append(self._argument(_is_not_closing))
        elif first == "/":
            function = first + (second if second in {"/", "#", "%"} else "")
            self.position += len(function)
            arguments = self._replacement()
        self._close()
        return name, function, arguments

    def _bounds(self) -> list[Part]:
        """Return the offset and the length of a part of the value."""
        self.position += 1
        if not self._next().isascii():
            raise self._error()  # Flux goes back by the bytes of this character, to the name.
        arguments = [self._argument(lambda character, _: character not in ":}")]
        if self._next() != "}":
            self._token(lambda character, _: character == ":")
            arguments.append(self._argument(_is_not_closing))
        self._close()
        return arguments

    def _replacement(self) -> list[Part]:
        arguments = [self._argument(_is_not_slash, has_escapes=True)]
        self._token(lambda character, _: character == "/")
        if self._next() != "}":
            arguments.append(self._argument(_is_not_closing, has_escapes=True))
        return arguments

    def _argument(self, accept: _Accept, *, has_escapes: bool = False) -> Part:
        if self.text.startswith("${", self.position):
            return self.expression()
        return self._token(accept, is_argument=True, has_escapes=has_escapes)

    def _token(
        self, accept: _Accept, *, is_argument: bool = False, has_escapes: bool = False
    ) -> str:
        """Return the characters up to one that `accept` refuses, at least one."""
        found = ""
        while character := self._next():
            if is_argument and self.text.startswith("${", self.position):
                break
            if has_escapes and character + self._next(1) in {"$$", "\\/", "\\\\"}:
                self.position += 1
                character = self._next()
            elif not accept(character, len(found) + 1):
                break
            found += character
            self.position += 1
        if not found:
            raise self._error()
        return found

    def _close(self) -> None:
        if self._next() != "}":
            raise self._error()
        self.position += 1

    def _error(self) -> SubstitutionError:
        line = self.text[self.begun : self.begun + _LONGEST].partition("\n")[0]
        expression = line[: line.find("}") + 1] or line
        return SubstitutionError(expression, "is no variable that Flux can read")


def _is_of_name(character: str, _: int) -> bool:
    return character == "_" or unicodedata.category(character) in {
        "Lu", "Ll", "Lt", "Lm", "Lo", "Nd",
    }  # fmt: skip


def _is_not_closing(character: str, _: int) -> bool:
    return character != "}"


def _is_not_slash(character: str, _: int) -> bool:
    return character != "/"
