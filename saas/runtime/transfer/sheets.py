"""Reading and writing xlsx and CSV. Files come from strangers: sizes are bounded before anything is unpacked into memory.

A table that is read is never in memory as a whole: its rows go to a temporary file, from which any of them can be taken.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import pickle
import queue
import re
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, overload

import rustpy_xlsxwriter

from saas.errors import PayloadTooLarge
from saas.i18n import lazy
from saas.runtime.transfer.xlsx import MAX_CELL, refused, xlsx_rows

MAX_FILE_BYTES = 50 * 1024 * 1024
MAX_ROWS = 100_000
MAX_COLUMNS = 200
MAX_LINE = 4_000_000  # characters
EXCEL_ROWS = 1_048_575
XLSX_CELL = 32_767  # characters
_AS_IS = frozenset((int, float, bool, date, datetime, type(None)))  # what the writer takes unchanged
BOM = b"\xef\xbb\xbf"

SAMPLE = 20_000  # characters
DAY_FIRST = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})\Z", re.ASCII)
_DELIMITERS = ",;\t|"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?\Z", re.ASCII)


class Rows(Sequence[list[Any]]):
    """The rows of a table in a temporary file without a name, which is gone when nobody has them any more."""

    BLOCK = 200
    first = 0  # column where the table begins

    def __init__(self, folder: Path | None = None) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="saas-rows-", dir=folder)  # noqa: SIM115  closed with its last user
        self._ends = array("Q", [0])
        self._block: list[list[Any]] = []
        self._count = 0
        self._last: tuple[int, list[list[Any]]] = (-1, [])

    def append(self, row: list[Any]) -> None:
        self._block.append(row)
        self._count += 1
        if len(self._block) == self.BLOCK:
            self.end()

    def end(self) -> None:
        """All rows are there."""
        if self._block:
            self._ends.append(self._ends[-1] + self._file.write(pickle.dumps(self._block, pickle.HIGHEST_PROTOCOL)))
            self._block = []
        self._file.flush()

    def _read(self, place: int) -> list[list[Any]]:
        last = self._last
        if last[0] != place:
            start = self._ends[place]
            rows = pickle.loads(os.pread(self._file.fileno(), self._ends[place + 1] - start, start))  # our own file, which nobody else can open
            last = self._last = (place, [row[self.first :] for row in rows] if self.first else rows)
        return last[1]

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> list[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[Any]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, int):
            place, position = divmod(range(self._count)[index], self.BLOCK)
            return self._read(place)[position]
        start, stop, step = index.indices(self._count)
        found: list[list[Any]] = []
        while start < stop:
            place, position = divmod(start, self.BLOCK)
            part = self._read(place)[position : position + stop - start]
            found += part
            start += len(part)
        return found[::step]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The first sheet of a file: its headings and its rows of texts, numbers, dates and None, all as long as the headings.

    `month_first`: {column: whether 3/4/2025 is in March}, of the columns where some date can be read in one way only."""

    headers: list[str]
    rows: Rows
    month_first: dict[int, bool] = field(default_factory=dict)


# ---- reading -----------------------------------------------------------------------------------------------------------


def read_sheet(path: Path, name: str) -> Sheet:
    """Read an uploaded table; its rows are kept in a file beside it. Errors: PayloadTooLarge, InvalidInput."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise PayloadTooLarge(lazy("A table may have at most %(size)s MB.", size=MAX_FILE_BYTES // 1024 // 1024))
    with path.open("rb") as stream:
        head = stream.read(8)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise refused(lazy("This is a table in an old format. Save it as .xlsx or .csv and upload that."))
    return _sheet(xlsx_rows(path) if head.startswith(b"PK\x03\x04") else csv_rows(path), path.parent)


def _sheet(source: Iterable[list[Any]], folder: Path) -> Sheet:
    rows = Rows(folder)
    headers: list[str] = []
    first = empty = 0  # column where the table begins; empty rows since the last one that is not
    month_first: dict[int, bool] = {}
    for row in source:
        cells = [_cell(value) for value in row]
        if not headers:
            headers = [str(c if c is not None else "").strip() for c in cells]
            while headers and not headers[-1]:
                headers.pop()
            first = _first([header or None for header in headers])
            if len(headers) - first > MAX_COLUMNS:
                raise _too_wide()
            continue
        del cells[len(headers) :]
        if not any(c is not None for c in cells):
            empty += 1
            continue
        if len(rows) + empty >= MAX_ROWS:
            raise PayloadTooLarge(lazy("A table may have at most %(count)s rows.", count=MAX_ROWS))
        for _ in range(empty):
            rows.append([None] * len(headers))
        empty = 0
        if first:
            first = min(first, _first(cells))
        if len(cells) < len(headers):
            cells += [None] * (len(headers) - len(cells))
        for column, cell in enumerate(cells):
            if type(cell) is str and "0" <= cell[0] <= "9" and column not in month_first and (said := _month_first(cell)) is not None:
                month_first[column] = said
        rows.append(cells)
    if not headers:
        raise refused(lazy("This table is empty."))
    if len(headers) - first > MAX_COLUMNS:
        raise _too_wide()
    rows.end()
    rows.first = first
    return Sheet(headers[first:], rows, {column - first: said for column, said in month_first.items()})


def _first(cells: Sequence[Any]) -> int:
    return next((place for place, cell in enumerate(cells) if cell is not None), len(cells))


def _too_wide() -> Exception:
    return refused(lazy("A table may have at most %(count)s columns.", count=MAX_COLUMNS))


def _month_first(text: str) -> bool | None:
    """Does a date like 3/14/2025 put the month first? None when it can be read both ways, or is none."""
    found = DAY_FIRST.match(text[:20].split(" ", 1)[0])
    if found and int(found[1]) > 12:
        return False
    return True if found and int(found[2]) > 12 else None


def _cell(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, str):
        text = value.replace("\x00", "").strip()[:MAX_CELL]
        if len(text) > 1 and text[0] == "'" and text[1] in _FORMULA:
            text = text[1:]  # what our own export put there
        return text or None
    if isinstance(value, timedelta):
        return (datetime.min + value).time() if timedelta(0) <= value < timedelta(days=1) else str(value)
    return value


def csv_rows(path: Path) -> Iterator[list[Any]]:
    """The lines of a text file, in whatever encoding and with whatever delimiter. Errors: InvalidInput."""
    csv.field_size_limit(MAX_CELL * 4)
    encoding = encoding_of(path)
    try:
        with path.open(encoding=encoding, errors="replace", newline="") as stream:
            delimiter = guess_delimiter(stream.read(SAMPLE))
            stream.seek(0)
            yield from csv.reader(_lines(stream), delimiter=delimiter)
    except csv.Error as error:
        raise refused() from error


def _lines(stream: IO[str]) -> Iterator[str]:
    while line := stream.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise refused()
        yield line


def encoding_of(path: Path) -> str:
    """UTF-8 or UTF-16 by their marks, UTF-8, then what Chinese or western spreadsheets write."""
    with path.open("rb") as stream:
        head = stream.read(3)
    if head.startswith(BOM):
        return "utf-8-sig"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if _is_in(path, "utf-8") is not None:
        return "utf-8"
    start = _is_in(path, "gb18030")
    if start is not None:
        foreign = [c for c in start if ord(c) > 127]
        if sum("\u3000" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef" for c in foreign) * 10 >= len(foreign) * 9:
            return "gb18030"
    return "cp1252"


def _is_in(path: Path, encoding: str) -> str | None:
    """The beginning of the text, when all of it can be read so."""
    decoder = codecs.getincrementaldecoder(encoding)()
    start = ""
    try:
        with path.open("rb") as stream:
            while part := stream.read(1 << 16):
                text = decoder.decode(part)
                if len(start) < SAMPLE:
                    start += text
            decoder.decode(b"", True)
    except UnicodeDecodeError:
        return None
    return start[:SAMPLE]


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
