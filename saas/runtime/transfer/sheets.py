"""Reading and writing xlsx and CSV. Files come from strangers: sizes are bounded before anything is unpacked into memory."""

from __future__ import annotations

import csv
import io
import queue
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import python_calamine
import rustpy_xlsxwriter

from saas.errors import FieldProblem, InvalidInput, PayloadTooLarge
from saas.i18n import lazy

MAX_FILE_BYTES = 50 * 1024 * 1024
MAX_UNPACKED_BYTES = 400 * 1024 * 1024
MAX_ROWS = 100_000
MAX_COLUMNS = 200
MAX_CELLS = 5_000_000
MAX_CELL = 40_000
EXCEL_ROWS = 1_048_575
XLSX_CELL = 32_767  # characters
_AS_IS = frozenset((int, float, bool, date, datetime, type(None)))  # what the writer takes unchanged
BOM = b"\xef\xbb\xbf"

MAX_TAG = 64 * 1024
# A tag of a row or cell and the place it names, if any: <c r="B7">, also <x:c r = 'b7'>.
_TAG = re.compile(rb"""<(?:[\w.-]+:)?(c|row)(?=[\s/>])(?:[^<]*?\sr\s*=\s*["']([A-Za-z]*)([0-9]+)["'])?""")
# The same, only found; and those that name their place in the way nearly all programs write it.
_ANY = re.compile(rb"<(?:c|row|[\w.-]+:(?:c|row))(?=[\s/>])")
_NAMED = re.compile(rb'<(?:c|row) r="([A-Z]*)([0-9]+)"')
_OTHER_FORMATS = {"mimetype", "content.xml", "xl/workbook.bin"}
_DELIMITERS = ",;\t|"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The first sheet of a file: its headings and its rows of texts, numbers, dates and None."""

    headers: list[str]
    rows: list[list[Any]]


# ---- reading -----------------------------------------------------------------------------------------------------------


def read_sheet(path: Path, name: str) -> Sheet:
    """Read an uploaded table. Errors: PayloadTooLarge, InvalidInput."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise PayloadTooLarge(lazy("A table may have at most %(size)s MB.", size=MAX_FILE_BYTES // 1024 // 1024))
    with path.open("rb") as stream:
        head = stream.read(8)
    if head.startswith(b"PK\x03\x04"):
        rows = _read_xlsx(path)
    elif head.startswith(b"\xd0\xcf\x11\xe0"):
        raise refused(lazy("This is a table in an old format. Save it as .xlsx or .csv and upload that."))
    else:
        rows = read_csv(path.read_bytes())
    return _sheet(rows)


def refused(message: Any) -> InvalidInput:
    return InvalidInput([FieldProblem(field="file", code="unreadable", message=message, path="/file")], message)


def _sheet(rows: Iterable[list[Any]]) -> Sheet:
    kept: list[list[Any]] = []
    headers: list[str] = []
    for row in rows:
        cells = [_cell(value) for value in row]
        if not headers:
            if any(c is not None for c in cells):
                headers = [str(c if c is not None else "").strip() for c in cells]
                while headers and not headers[-1]:
                    headers.pop()
                if len(headers) > MAX_COLUMNS:
                    raise refused(lazy("A table may have at most %(count)s columns.", count=MAX_COLUMNS))
            continue
        if len(kept) >= MAX_ROWS:
            raise PayloadTooLarge(lazy("A table may have at most %(count)s rows.", count=MAX_ROWS))
        cells = (cells + [None] * len(headers))[: len(headers)]
        kept.append(cells)
    while kept and not any(c is not None for c in kept[-1]):
        kept.pop()
    if not headers:
        raise refused(lazy("This table is empty."))
    return Sheet(headers, kept)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        text = value.replace("\x00", "").strip()[:MAX_CELL]
        if len(text) > 1 and text[0] == "'" and text[1] in _FORMULA:
            text = text[1:]  # what our own export put there
        return text or None
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, timedelta):
        return (datetime.min + value).time() if timedelta(0) <= value < timedelta(days=1) else str(value)
    return value


def _read_xlsx(path: Path) -> list[list[Any]]:
    _check_xlsx(path)
    try:
        workbook = python_calamine.CalamineWorkbook.from_path(str(path))
        sheet = workbook.get_sheet_by_index(0)
        return sheet.to_python(skip_empty_area=True)
    except (python_calamine.CalamineError, OSError, ValueError, IndexError) as error:
        raise refused(lazy("This file cannot be read as a table.")) from error


def _check_xlsx(path: Path) -> None:
    """Refuse bombs: too much when unpacked, or a few cells so far apart that the table between them fills the memory. Any part of
    the file may be its sheet, so all are looked at."""
    left = MAX_UNPACKED_BYTES
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.lower() for name in archive.namelist()}
            if "xl/workbook.xml" not in names or names & _OTHER_FORMATS:  # the reader would take it for what it looks like
                raise refused(lazy("This file cannot be read as a table."))
            for entry in archive.infolist():
                extent = _Extent()
                with archive.open(entry) as stream:
                    while part := stream.read(1 << 20):
                        left -= len(part)
                        if left < 0:
                            raise PayloadTooLarge(lazy("This table is too large when unpacked."))
                        extent.look(part)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise refused(lazy("This file cannot be read as a table.")) from error


class _Extent:
    """How far the rows and cells of a sheet reach, told from its tags piece by piece; those that name no place follow the last."""

    def __init__(self) -> None:
        self.row = self.column = self.rows = self.columns = 0
        self.tail = b""

    def look(self, part: bytes) -> None:
        text = self.tail + part
        end = max(text.rfind(b"<"), 0)
        self.tail = text[end:]
        if len(self.tail) > MAX_TAG:  # no tag of a table is that long
            if _TAG.match(self.tail):
                raise refused(lazy("This file cannot be read as a table."))
            self.tail = b""
        named = _NAMED.findall(text, 0, end)
        if len(named) == len(_ANY.findall(text, 0, end)):  # as nearly all programs write them: their order says nothing more
            self.rows = max([self.rows, *(int(digits[:9]) for digits in {digits for _, digits in named})])
            self.columns = max([self.columns, *map(_column_number, {letters for letters, _ in named})])
            tags = [(b"c" if letters else b"row", letters, digits) for letters, digits in named[-1:]]
        else:
            tags = _TAG.findall(text, 0, end)
        for kind, letters, digits in tags:
            if digits:
                self.row, self.column = int(digits[:9]), _column_number(letters)
            elif kind == b"row":
                self.row, self.column = self.row + 1, 0
            else:
                self.column += 1
            self.rows, self.columns = max(self.rows, self.row), max(self.columns, self.column)
        if self.rows * self.columns > MAX_CELLS:
            raise PayloadTooLarge(lazy("This table has too many cells; delete what is not needed."))


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters[:6].upper():
        number = number * 26 + letter - 64
    return number


def read_csv(data: bytes) -> Iterator[list[Any]]:
    text = decode(data)
    sample = text[:20_000]
    csv.field_size_limit(MAX_CELL * 4)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=guess_delimiter(sample))
    except csv.Error as error:
        raise refused(lazy("This file cannot be read as a table.")) from error


def decode(data: bytes) -> str:
    """UTF-8 or UTF-16 by their marks, UTF-8, then what Chinese or western spreadsheets write."""
    if data.startswith(BOM):
        return data.decode("utf-8-sig", "replace")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("gb18030")
        foreign = [c for c in text[:20_000] if ord(c) > 127]
        if sum("\u3000" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef" for c in foreign) * 10 >= len(foreign) * 9:
            return text
    except UnicodeDecodeError:
        pass
    return data.decode("cp1252", "replace")


def guess_delimiter(sample: str) -> str:
    """The one that cuts the first lines into the most equal number of columns."""

    def score(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in csv.reader(io.StringIO(sample), delimiter=delimiter) if row][:20]
        if not widths or widths[0] < 2:
            return (0, 0)
        return (sum(w == widths[0] for w in widths), widths[0])

    try:
        return max(_DELIMITERS, key=score)
    except csv.Error:
        return ","


# ---- writing -----------------------------------------------------------------------------------------------------------


def csv_line(values: Sequence[Any]) -> bytes:
    """One line of CSV. A text that a spreadsheet would run as a formula gets an apostrophe before it."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([_csv_cell(v) for v in values])
    return out.getvalue().encode()


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) and not _NUMBER.match(value) else value
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return value.isoformat() if isinstance(value, date | time) else str(value)


def unique_headers(headers: Sequence[str]) -> list[str]:
    """Spreadsheets name columns by their heading: equal ones get a number."""
    seen: dict[str, int] = {}
    found = []
    for header in headers:
        seen[header] = seen.get(header, 0) + 1
        found.append(header if seen[header] == 1 else f"{header} ({seen[header]})")
    return found


def write_xlsx(path: Path, title: str, headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write one sheet; rows are taken one by one. Texts stay texts: nothing becomes a formula."""
    names = unique_headers(headers)
    empty = True

    def records() -> Iterator[dict[str, Any]]:
        nonlocal empty
        for number, row in enumerate(rows):
            if number >= EXCEL_ROWS:
                raise PayloadTooLarge(lazy("An Excel sheet holds at most %(count)s rows; export as CSV instead.", count=EXCEL_ROWS))
            empty = False
            yield dict(zip(names, [value if (kind := type(value)) in _AS_IS or (kind is str and len(value) <= XLSX_CELL) else _xlsx_cell(value) for value in row], strict=True))
        if empty:
            yield dict.fromkeys(names)  # so that the headings are there

    widths = [float(min(max(sum(2 if ord(c) > 0x2E7F else 1 for c in n) + 4, 12), 40)) for n in names]
    rustpy_xlsxwriter.write_worksheet(
        records(), str(path), sheet_name=_sheet_name(title), freeze_row=1, bold_headers=True, autofilter=not empty, column_widths=widths,
        datetime_format="yyyy-mm-dd hh:mm",
    )  # fmt: skip


def _xlsx_cell(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, time):
        return value.strftime("%H:%M")
    if isinstance(value, str):
        return value[:XLSX_CELL]
    return value


def _sheet_name(title: str) -> str:
    return re.sub(r"[\[\]:*?/\\']", " ", title).strip()[:31] or "Sheet1"


class RowPipe:
    """Hands rows from a coroutine to a writer in a thread, a few batches ahead of it at most."""

    _END = object()

    def __init__(self) -> None:
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=4)
        self._closed = False

    def put(self, batch: Any) -> None:
        while not self._closed:
            try:
                return self._queue.put(batch, timeout=1)
            except queue.Full:
                continue

    def end(self, error: BaseException | None = None) -> None:
        self.put(error or self._END)

    def close(self) -> None:
        """The reader is gone; writers must not wait for it."""
        self._closed = True

    def __iter__(self) -> Iterator[Sequence[Any]]:
        while True:
            batch = self._queue.get()
            if batch is self._END:
                return
            if isinstance(batch, BaseException):
                raise batch
            yield from batch
