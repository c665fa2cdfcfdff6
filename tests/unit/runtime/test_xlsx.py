"""The stream of an Excel file's rows says what a widespread reader says, and what strangers put into files does no harm."""

from __future__ import annotations

import random
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import python_calamine

from saas.errors import InvalidInput, PayloadTooLarge
from saas.runtime.transfer import sheets, xlsx
from saas.runtime.transfer.sheets import read_sheet, write_xlsx
from saas.runtime.transfer.xlsx import xlsx_rows

MAIN, OFFICE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
CODES = {164: "yyyy-mm-dd hh:mm", 165: "[hh]:mm:ss", 166: "&quot;day&quot;0.00", 167: '[$-804]yyyy"年"m"月"d"日";@'.replace('"', "&quot;"), 168: "[Red]#,##0.00", 169: "0.0\\d"}
FORMATS = (0, 14, 22, *CODES, 21, 46, 20, 45, 47)
STYLES = (
    "<numFmts>" + "".join(f'<numFmt numFmtId="{n}" formatCode="{code}"/>' for n, code in CODES.items()) + '</numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs>'
    + "".join(f'<xf numFmtId="{n}"/>' for n in FORMATS) + "</cellXfs>"
)  # fmt: skip


def book(path: Path, rows: str, *, texts: str = "", properties: str = "", prefix: str = "", more: dict[str, bytes] | None = None) -> Path:
    name = f"xmlns:{prefix[:-1]}" if prefix else "xmlns"
    relations = "".join(
        f'<Relationship Id="rId{n}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate({"styles": "styles.xml", "worksheet": "/xl/worksheets/one.xml", "sharedStrings": "./sharedStrings.xml"}.items())
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_rels/.rels", f'<Relationships xmlns="{PACKAGE}"><Relationship Id="a" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>')
        archive.writestr("xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{properties}<sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>')
        archive.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{PACKAGE}">{relations}</Relationships>')
        archive.writestr("xl/styles.xml", f'<styleSheet xmlns="{MAIN}">{STYLES}</styleSheet>')
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{MAIN}">{texts}</sst>')
        archive.writestr("xl/worksheets/one.xml", f'<{prefix}worksheet {name}="{MAIN}"><{prefix}sheetData>{rows}</{prefix}sheetData></{prefix}worksheet>')
        for part, data in (more or {}).items():
            archive.writestr(part, data)
    return path


def table(rows: Any) -> list[list[Any]]:
    """Without what the two readers say differently for nothing: empty texts, whole numbers, the empty area around."""
    found = [[None if v in ("", None) else int(v) if isinstance(v, float) and v.is_integer() else v for v in row] for row in rows]
    while found and not any(v is not None for v in found[0]):
        found.pop(0)
    first = min((next((n for n, v in enumerate(row) if v is not None), 999) for row in found), default=0)
    width = max((len(row) for row in found), default=0)
    return [(row + [None] * (width - len(row)))[first:] for row in found]


def other(path: Path) -> list[list[Any]]:
    return python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python(skip_empty_area=True)


def in_all_formats(number: str) -> str:
    return "".join(f'<c s="{style}"><v>{number}</v></c>' for style in range(len(FORMATS)))


NUMBERS = ("45000", "45000.5", "0.5", "1.5", "59", "60", "61", "0", "45000.999999", "45000.123456", "1e3", "12.345", "0.1", "2958465", "1.0000001")
CELLS = {
    "numbers in all formats": "".join(f"<row>{in_all_formats(n)}</row>" for n in NUMBERS),
    "kinds": '<row><c t="b"><v>1</v></c><c t="b"><v>0</v></c><c t="str"><f>A1&amp;"x"</f><v>x y </v></c><c t="d"><v>2024-01-02T03:04:05</v></c><c t="d"><v>2024-01-02</v></c>'
    '<c t="e"><v>#N/A</v></c><c t="n"><v>-7</v></c><c><f>1</f></c><c><v></v></c><c/><c t="str"><v>a_x000D_b</v></c><c t="str"><v>&lt;c r="A1"&gt; &amp; 好</v></c></row>',
    "inline": '<row><c t="inlineStr"><is><t>a</t></is></c><c t="inlineStr"><is><r><t>b</t></r><r><rPr><b/></rPr><t xml:space="preserve"> c</t></r><rPh sb="0" eb="1"><t>no</t></rPh></is></c></row>',
    "shared": '<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c><c t="s"><v>2</v></c><c t="s"><v>3</v></c></row><row><c t="s"><v>150</v></c><c t="s"><v>3</v></c></row>',
    "gaps": '<row r="3"><c r="C3"><v>1</v></c><c r="E3"><v>2</v></c></row><row r="6"><c r="B6" s="1"/><c r="D6"><v>3</v></c><c><v>4</v></c></row><row/><row><c><v>5</v></c></row>',
    "backwards": '<row r="1"><c r="C1"><v>3</v></c><c r="A1"><v>1</v></c><c r="B1"><v>2</v></c></row>',
    "rows named by cells": '<row><c r="A2"><v>1</v></c></row><row><c r="B4"><v>2</v></c></row>',
    "spread": '<row r="1" spans="1:2">\n  <c r="A1">\n <v>1</v>\n </c> <!-- <c r="Z9"/> --> <c r="B1" t="inlineStr"><is><t><![CDATA[<v>]]></t></is></c></row>',
}
TEXTS = "<si><t>one_x000D_</t></si><si><r><t>a</t></r><r><t xml:space='preserve'> b</t></r><rPh sb='0' eb='1'><t>no</t></rPh></si><si/>" + "".join(f"<si><t>t{n}</t></si>" for n in range(200))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("properties", ["", '<workbookPr date1904="1"/>'])
def test_it_reads_what_another_reads(tmp_path, name, properties):
    path = book(tmp_path / "t.xlsx", CELLS[name], texts=TEXTS, properties=properties)
    assert table(xlsx_rows(path)) == table(other(path))


def test_names_with_a_prefix_mean_the_same(tmp_path):
    rows = '<x:row r="1"><x:c r="A1" t="inlineStr"><x:is><x:t>a</x:t></x:is></x:c><x:c r="B1"><x:v>2</x:v></x:c></x:row>'
    assert list(xlsx_rows(book(tmp_path / "t.xlsx", rows, prefix="x:"))) == [["a", 2]]


def test_formats_of_east_asia_and_of_people_are_dates(tmp_path):
    days = [type(v) for v in next(xlsx_rows(book(tmp_path / "t.xlsx", f"<row>{in_all_formats('45000')}</row>")))]
    assert days == [int, date, date, date, timedelta, int, date, int, int, date, timedelta, date, date, date]


def test_what_programs_write_is_read_alike(tmp_path):
    """Thousands of random cells, as our own exports write them."""
    chance = random.Random(7)
    values = [lambda: None, lambda: chance.randrange(-999, 10**9), lambda: round(chance.random() * 999, 4), lambda: "".join(chance.choices("ab 好<&>'\"\n_x000D", k=9)),
              lambda: date(2000, 1, 1) + timedelta(days=chance.randrange(20_000)), lambda: datetime(2020, 1, 1) + timedelta(minutes=chance.randrange(10**6)), lambda: chance.random() < 0.5]  # fmt: skip
    rows = [[chance.choice(values)() for _ in range(12)] for _ in range(600)]
    write_xlsx(tmp_path / "t.xlsx", "T", [f"H{n}" for n in range(12)], rows)
    found = list(xlsx_rows(tmp_path / "t.xlsx"))
    assert table(found) == table(other(tmp_path / "t.xlsx")) and len(found) == 601


def test_many_texts_are_found_in_any_order(tmp_path):
    order = list(range(50_000))
    random.Random(3).shuffle(order)
    rows = "".join(f'<row><c t="s"><v>{n}</v></c></row>' for n in order)
    found = xlsx_rows(book(tmp_path / "t.xlsx", rows, texts="".join(f"<si><t>text {n}</t></si>" for n in range(50_000))))
    assert [row[0] for row in found] == [f"text {n}" for n in order]


DEEP = "<a>" * 200
BAD = {
    "entities": {"more": {"xl/styles.xml": b'<!DOCTYPE a [<!ENTITY b "bb">]><styleSheet>&b;</styleSheet>'}},
    "nesting": {"rows": f"<row><c>{DEEP}</c></row>"}, "nested cells": {"rows": "<row><c><c/></c></row>"}, "nested rows": {"rows": "<row><row/></row>"},
    "nested texts": {"texts": f"<si>{DEEP}</si>"}, "no such text": {"rows": '<row><c t="s"><v>7</v></c></row>'}, "negative text": {"rows": '<row><c t="s"><v>-1</v></c></row>'},
    "broken": {"rows": "<row><c>"}, "other row": {"rows": '<row r="2"><c r="A9"/></row>'}, "back": {"rows": '<row r="2"/><row r="1"/>'}, "odd reference": {"rows": '<row><c r="1A"/></row>'},
    "far": {"rows": '<row r="1"><c r="A1"/></row><row r="999999"><c r="XFD999999"/></row>'}, "wide": {"rows": f"<row>{'<c><v>1</v></c>' * 17_000}</row>" + "<row/>" * 400},
    "long tag": {"rows": f"<row {' ' * 3_000_000}/>"},
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_meant_badly_is_refused(tmp_path, name):
    given = {"rows": "<row><c><v>1</v></c></row>", **BAD[name]}
    more = given.pop("more", None)
    if more:
        path = tmp_path / "t.xlsx"
        book(tmp_path / "plain.xlsx", **given)
        with zipfile.ZipFile(tmp_path / "plain.xlsx") as plain, zipfile.ZipFile(path, "w") as archive:
            for part in plain.namelist():
                archive.writestr(part, more.get(part, plain.read(part)))
    else:
        path = book(tmp_path / "t.xlsx", **given)
    with pytest.raises((InvalidInput, PayloadTooLarge)):
        list(xlsx_rows(path))


def test_a_cut_file_is_refused(tmp_path):
    path = book(tmp_path / "t.xlsx", "<row><c><v>1</v></c></row>" * 5000)
    data = path.read_bytes()
    for length in (10, len(data) // 2, len(data) - 30):
        path.write_bytes(data[:length])
        with pytest.raises(InvalidInput):
            list(xlsx_rows(path))


def test_unpacking_ends_at_the_limit(tmp_path, monkeypatch):
    path = book(tmp_path / "t.xlsx", "<row><c><v>1</v></c></row>" * 50_000)
    monkeypatch.setattr(xlsx, "MAX_UNPACKED_BYTES", 1_000_000)
    with pytest.raises(PayloadTooLarge):
        list(xlsx_rows(path))


def test_rows_of_a_table_can_be_taken_from_anywhere(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text("\n\na,b\n" + "".join(f"{n},x{n}\n" if n % 7 else "\n" for n in range(1000)) + "\n\n")
    sheet = read_sheet(path, "t.csv")
    expected = [[str(n), f"x{n}"] if n % 7 else [None, None] for n in range(1000)]
    assert len(sheet.rows) == 1000 and list(sheet.rows) == expected and sheet.rows[:] == expected
    assert sheet.rows[195:605] == expected[195:605] and sheet.rows[990:2000] == expected[990:] and sheet.rows[5000:] == [] and sheet.rows[-1] == expected[-1]
    with pytest.raises(IndexError):
        sheet.rows[1000]
    monkeypatch.setattr(sheets, "MAX_ROWS", 999)
    with pytest.raises(PayloadTooLarge):
        read_sheet(path, "t.csv")


def test_a_table_begins_where_its_first_cell_is(tmp_path):
    rows = '<row r="2"><c r="C2" t="inlineStr"><is><t>H</t></is></c><c r="D2" t="inlineStr"><is><t>I</t></is></c></row><row r="3"><c r="B3"><v>1</v></c><c r="D3"><v>2</v></c><c r="F3"><v>9</v></c></row>'
    sheet = read_sheet(book(tmp_path / "t.xlsx", rows), "t.xlsx")
    assert (sheet.headers, list(sheet.rows)) == (["", "H", "I"], [[1, None, 2]])


@pytest.mark.parametrize(("cells", "said"), [(["3/4/2025", "3/14/2025"], {0: True}), (["14/3/2025 10:00", "3/14/2025"], {0: False}), (["3/4/2025", "2025-03-14", "x"], {})])
def test_the_order_of_day_and_month_is_seen_while_reading(tmp_path, cells, said):
    (tmp_path / "t.csv").write_text("when;n\n" + "".join(f"{cell};1\n" for cell in cells))
    assert read_sheet(tmp_path / "t.csv", "t.csv").month_first == said


def test_times_and_durations_of_cells_are_times_and_texts(tmp_path):
    styled = {n: s for s, n in enumerate(FORMATS)}
    rows = f'<row><c t="inlineStr"><is><t>a</t></is></c><c t="inlineStr"><is><t>b</t></is></c></row><row><c s="{styled[46]}"><v>0.25</v></c><c s="{styled[46]}"><v>1.5</v></c></row>'
    assert list(read_sheet(book(tmp_path / "t.xlsx", rows), "t.xlsx").rows) == [[time(6), "1 day, 12:00:00"]]
