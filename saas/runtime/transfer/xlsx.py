"""The rows of an Excel file one after the other: neither the sheet nor its texts are ever in memory as a whole.

The file comes from a stranger. What it unpacks to is counted while it is read, and what is not needed is not unpacked; texts,
tags and nesting are bounded; shared texts go to a file that has no name.
"""

from __future__ import annotations

import marshal
import math
import os
import posixpath
import re
import tempfile
import zipfile
from array import array
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

from saas.errors import FieldProblem, InvalidInput, PayloadTooLarge
from saas.i18n import lazy

MAX_UNPACKED_BYTES = 400 * 1024 * 1024
MAX_CELLS = 5_000_000  # rows times columns of the area the cells span
MAX_CELL = 40_000  # characters
MAX_COLUMN = 16_384  # the last one of Excel
MAX_TAG = 1 << 20  # bytes
MAX_DEPTH = 50
MAX_STYLES = 70_000
PART = 1 << 16

_OTHER_FORMATS = {"mimetype", "content.xml", "xl/workbook.bin"}
_REFERENCE = re.compile(r"([A-Za-z]+)([0-9]+)\Z", re.ASCII)
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.')
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_BRACKETS = re.compile(r"\[[^\]]*\]")
# Formats that are dates without saying so; 27 to 36 and 50 to 58 are those of East Asia.
_DATES = {*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)}
_DURATION = 46
_FIRST_DAY = datetime(1899, 12, 30)


def refused(message: Any = None) -> InvalidInput:
    message = message or lazy("This file cannot be read as a table.")
    return InvalidInput([FieldProblem(field="file", code="unreadable", message=message, path="/file")], message)


def xlsx_rows(path: Path) -> Iterator[list[Any]]:
    """The first sheet from its first row to its last, empty ones as []: each a list from column A on of texts, numbers, truth
    values, dates, times, durations and None. Errors: InvalidInput, PayloadTooLarge, at any row."""
    try:
        with zipfile.ZipFile(path) as archive:
            book = _Book(archive)
            with _Strings(path.parent) as strings:
                book.read_strings(strings)
                yield from book.rows(strings)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, expat.ExpatError, UnicodeError) as error:
        raise refused() from error


class _Book:
    """Where the parts of a workbook are, and what its cells' styles mean."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.left = MAX_UNPACKED_BYTES
        self.names = {name.lower(): name for name in archive.namelist()}
        if "xl/workbook.xml" not in self.names or self.names.keys() & _OTHER_FORMATS:
            raise refused()
        if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED_BYTES:
            raise _too_large()
        self.since_1904 = False
        self.sheets: list[str] = []
        self._read("xl/workbook.xml", self._workbook)
        self.parts: dict[str, tuple[str, str]] = {}
        if "xl/_rels/workbook.xml.rels" in self.names:
            self._read("xl/_rels/workbook.xml.rels", self._relation)
        self.formats: dict[int, str] = {}
        self.modes: dict[str, str] = {}  # style -> date or duration; others are numbers
        self._styles = 0
        self._in_styles = False
        for kind, target in self.parts.values():
            if kind == "styles" and target.lower() in self.names:
                self._read(target, self._style, self._style_end)

    def _workbook(self, name: str, attrs: dict[str, str]) -> None:
        if name == "workbookPr":
            self.since_1904 = attrs.get("date1904") in ("1", "true")
        elif name == "sheet":
            self.sheets.append(next((v for k, v in attrs.items() if k.rpartition(":")[2] == "id" and ":" in k), ""))

    def _relation(self, name: str, attrs: dict[str, str]) -> None:
        if name == "Relationship" and attrs.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/xl", attrs.get("Target", ""))).lstrip("/")
            self.parts[attrs.get("Id", "")] = (attrs.get("Type", "").rpartition("/")[2], target)

    def _style(self, name: str, attrs: dict[str, str]) -> None:
        if name == "numFmt":
            if len(self.formats) < MAX_STYLES:
                self.formats[_number(attrs.get("numFmtId"))] = attrs.get("formatCode", "")
        elif name == "cellXfs":
            self._in_styles = True
        elif name == "xf" and self._in_styles and self._styles < MAX_STYLES:
            number = _number(attrs.get("numFmtId"))
            if mode := _mode_of(number, self.formats.get(number, "")):
                self.modes[str(self._styles)] = mode
            self._styles += 1

    def _style_end(self, name: str) -> None:
        if name == "cellXfs":
            self._in_styles = False

    def read_strings(self, strings: _Strings) -> None:
        """Shared texts, as far as there are any."""
        for kind, target in self.parts.values():
            if kind == "sharedStrings" and target.lower() in self.names:
                for _ in self._parsed(target, strings.parser):
                    pass
        strings.end()

    def rows(self, strings: _Strings) -> Iterator[list[Any]]:
        found = [self.parts[i][1] for i in self.sheets if i in self.parts and self.parts[i][0] == "worksheet"]
        target = found[0] if found else "xl/worksheets/sheet1.xml"
        if target.lower() not in self.names:
            raise refused()
        done: list[tuple[int, list[Any]]] = []
        following = 1
        for _ in self._parsed(target, _sheet_parser(strings, self.modes, self.since_1904, done.append)):
            for number, cells in done:
                for _ in range(number - following):
                    yield []
                yield cells
                following = number + 1
            done.clear()

    def _read(self, part: str, start: Callable[[str, dict[str, str]], None], end: Callable[[str], None] | None = None) -> None:
        parser, depth = _new_parser(), 0

        def opened(name: str, attrs: dict[str, str]) -> None:
            nonlocal depth
            depth += 1
            if depth > MAX_DEPTH:
                raise refused()
            start(name.rpartition(":")[2], attrs)

        def closed(name: str) -> None:
            nonlocal depth
            depth -= 1
            if end:
                end(name.rpartition(":")[2])

        parser.StartElementHandler, parser.EndElementHandler = opened, closed
        for _ in self._parsed(part, parser):
            pass

    def _parsed(self, part: str, parser: Any) -> Iterator[None]:
        """Feed a part of the file to a parser piece by piece."""
        with self.archive.open(self.names[part.lower()]) as stream:
            fed = 0
            while piece := stream.read(PART):
                self.left -= len(piece)
                if self.left < 0:
                    raise _too_large()
                fed += len(piece)
                parser.Parse(piece, False)
                if fed - parser.CurrentByteIndex > MAX_TAG:  # the parser keeps what is not complete
                    raise refused()
                yield
            parser.Parse(b"", True)
            yield


def _new_parser() -> Any:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _no_doctype  # entities could make a few bytes into gigabytes
    return parser


def _no_doctype(*_: Any) -> None:
    raise refused()


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(lazy("This table is too large when unpacked."))


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else 0


def _mode_of(number: int, code: str) -> str | None:
    """What a number format makes of a number: date, duration or nothing special."""
    if not code:
        return "date" if number in _DATES else "duration" if number == _DURATION else None
    code = _LITERAL.sub("", code)
    if _ELAPSED.search(code):
        return "duration"
    code = _BRACKETS.sub("", code).lower()
    return "date" if code != "general" and any(letter in code for letter in "dmyhs") else None


# ---- texts -------------------------------------------------------------------------------------------------------------


class _Strings:
    """The texts that cells refer to by number, in a temporary file in blocks. Cells mostly name them in order, and the words that
    come again and again stand in few blocks, so a small part of them is kept."""

    BLOCK = 64
    KEPT = 512

    def __init__(self, folder: Path) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="saas-texts-", dir=folder)  # noqa: SIM115  closed by __exit__
        self._ends = array("Q", [0])
        self._block: list[str] = []
        self._kept: dict[int, list[str]] = {}
        self.parser = self._new_parser()

    def __enter__(self) -> _Strings:
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()

    def _new_parser(self) -> Any:
        parser = _new_parser()
        parts: list[str] = []
        size = depth = phonetic = 0
        reading = False

        def start(name: str, _attrs: Any) -> None:
            nonlocal reading, size, depth, phonetic
            depth += 1
            if depth > MAX_DEPTH:
                raise refused()
            name = name.rpartition(":")[2]
            if name == "si":
                parts.clear()
                size = 0
            elif name == "rPh":
                phonetic += 1
            elif name == "t":
                reading = not phonetic

        def text(data: str) -> None:
            nonlocal size
            if reading and size < MAX_CELL:
                parts.append(data)
                size += len(data)

        def end(name: str) -> None:
            nonlocal reading, depth, phonetic
            depth -= 1
            reading = False
            name = name.rpartition(":")[2]
            if name == "rPh":
                phonetic -= 1
            elif name == "si":
                self._add(_plain("".join(parts)))

        parser.StartElementHandler, parser.CharacterDataHandler, parser.EndElementHandler = start, text, end
        return parser

    def _add(self, text: str) -> None:
        self._block.append(text)
        if len(self._block) == self.BLOCK:
            self.end()

    def end(self) -> None:
        """No more texts: what is left goes to the file."""
        if self._block:
            self._ends.append(self._ends[-1] + self._file.write(marshal.dumps(self._block)))
            self._block = []
        self._file.flush()

    def get(self, number: int) -> str:
        place, position = divmod(number, self.BLOCK)
        block = self._kept.get(place)
        if block is None:
            if not 0 <= place < len(self._ends) - 1:
                raise refused()
            if len(self._kept) >= self.KEPT:
                del self._kept[next(iter(self._kept))]
            start = self._ends[place]
            block = self._kept[place] = marshal.loads(os.pread(self._file.fileno(), self._ends[place + 1] - start, start))  # our own file
        if position >= len(block):
            raise refused()
        return block[position]


def _plain(text: str) -> str:
    """Without the way Excel writes characters that XML cannot hold."""
    return _ESCAPED.sub(_character, text) if "_x" in text else text


def _character(found: re.Match[str]) -> str:
    code = int(found[1], 16)
    return found[0] if 0xD800 <= code <= 0xDFFF else chr(code)


# ---- cells -------------------------------------------------------------------------------------------------------------


def _sheet_parser(strings: _Strings, modes: dict[str, str], since_1904: bool, done: Callable[[tuple[int, list[Any]]], None]) -> Any:
    """A parser that gives (row number, cells) of each row; rows stand in order. This runs for every cell: plain local names."""
    parser = _new_parser()
    columns: dict[str, int] = {}
    parts: list[str] = []
    cells: list[Any] = []
    row = column = widest = size = depth = 0  # numbered from 1
    place = ""  # the row's number as its cells name it
    kind = style = None
    in_row = in_cell = reading = phonetic = False
    c, v, t, r, ph = "c", "v", "t", "row", "rPh"

    def root(name: str, _attrs: Any) -> None:
        nonlocal c, v, t, r, ph
        prefix = name[: -len(name.rpartition(":")[2])]
        c, v, t, r, ph = (prefix + n for n in (c, v, t, r, ph))
        parser.StartElementHandler, parser.CharacterDataHandler, parser.EndElementHandler = start, text, end

    def start(name: str, attrs: dict[str, str]) -> None:
        nonlocal row, column, widest, size, depth, place, kind, style, in_row, in_cell, reading, phonetic
        if name == c:
            if in_cell:
                raise refused()
            in_cell = True
            reference = attrs.get("r")
            if reference is None:
                column += 1
            elif place and reference.endswith(place) and (known := columns.get(reference[: -len(place)])):
                column = known
            else:
                column = at(reference)
            if column > widest:
                widest = column
                if row * widest > MAX_CELLS:
                    raise _too_many()
            kind, style = attrs.get("t"), attrs.get("s")
            if parts:
                parts.clear()
            size = 0
        elif name in (v, t):
            reading = in_cell and not phonetic
        elif name == r:
            if in_row:
                raise refused()
            in_row = True
            given, before = attrs.get("r"), row
            place = given if given and given.isdecimal() and len(given) < 10 else ""
            row = int(place) if place else row + 1
            if row <= before:
                raise refused()
            column = 0
            if row * widest > MAX_CELLS:
                raise _too_many()
        else:
            depth += 1
            if depth > MAX_DEPTH:
                raise refused()
            phonetic = phonetic or name == ph

    def at(reference: str) -> int:
        """The column of a reference; a row that does not say its number has it from its cells."""
        nonlocal row, place
        found = _REFERENCE.match(reference)
        if found is None or len(found[2]) > 9:
            raise refused()
        number = 0
        for letter in found[1][:6].upper():
            number = number * 26 + ord(letter) - 64
        there = int(found[2])
        if number * there > MAX_CELLS:
            raise _too_many()
        if there > row and not place:
            row = there
        if there != row:
            raise refused()
        place = found[2]
        if number <= MAX_COLUMN:
            columns[found[1]] = number
        return number

    def text(data: str) -> None:
        nonlocal size
        if reading and size < MAX_CELL:
            parts.append(data)
            size += len(data)

    def end(name: str) -> None:
        nonlocal cells, depth, in_row, in_cell, reading, phonetic
        if name == c:
            in_cell = False
            if not parts:
                return
            value: Any = parts[0] if len(parts) == 1 else "".join(parts)
            if kind is None or kind == "n":
                value = _figure(value, modes.get(style) if style else None, since_1904)
            elif kind == "s":
                if not (value.isdecimal() and len(value) < 10):
                    raise refused()
                value = strings.get(int(value))
            elif kind == "b":
                value = value not in ("0", "false")
            elif kind == "d":
                value = _moment(value)
            elif kind == "e":
                return
            elif "_x" in value:
                value = _plain(value)
            missing = column - len(cells) - 1
            if missing == 0:
                cells.append(value)
            elif missing < 0:
                cells[column - 1] = value
            elif column <= MAX_COLUMN:
                cells.extend([None] * missing)
                cells.append(value)
        elif name in (v, t):
            reading = False
        elif name == r:
            in_row = False
            done((row, cells))
            cells = []
        else:
            depth -= 1
            if name == ph:
                phonetic = False

    parser.StartElementHandler = root
    return parser


def _too_many() -> PayloadTooLarge:
    return PayloadTooLarge(lazy("This table has too many cells; delete what is not needed."))


def _figure(text: str, mode: str | None, since_1904: bool) -> Any:
    try:
        value = float(text)
    except ValueError:
        return text
    if not math.isfinite(value):
        return text
    if mode is not None and value >= 0:
        try:
            return timedelta(milliseconds=round(value * 86_400_000)) if mode == "duration" else _dated(value, since_1904)
        except OverflowError:
            pass
    return int(value) if value.is_integer() else value


def _dated(value: float, since_1904: bool) -> date | datetime | time:
    """A number of days as Excel means it: below one a time, a whole one a day. Its 29 February 1900 never was."""
    days = value + (1462 if since_1904 else 1 if value < 60 else 0)
    moment = _FIRST_DAY + timedelta(milliseconds=round(days * 86_400_000))
    if value < 1:
        return moment.time()
    return moment.date() if value.is_integer() else moment


def _moment(text: str) -> Any:
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return text
