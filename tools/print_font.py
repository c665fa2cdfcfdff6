"""Makes the font that documents are printed in: Noto Sans CJK SC with the characters of GBK, Latin, Greek and Cyrillic letters and signs.

    python tools/print_font.py NotoSansCJK-Regular.ttc saas/runtime/documents/fonts/NotoSansCJKsc-GBK.otf

Needs fonttools, which the product itself does not. The source is Debian's package fonts-noto-cjk, under the SIL Open Font License 1.1, which allows this.
"""

from __future__ import annotations

import sys
from pathlib import Path


def characters() -> set[int]:
    found = set(range(0x20, 0x7F)) | set(range(0xA0, 0x250)) | set(range(0x370, 0x530)) | set(range(0x2000, 0x2070)) | set(range(0x20A0, 0x20C1))
    found |= set(range(0x2100, 0x2700)) | set(range(0x3000, 0x3100)) | set(range(0xFF00, 0xFFF0))
    for lead in range(0x81, 0xFF):
        for trail in range(0x40, 0xFF):
            try:
                found |= {ord(c) for c in bytes((lead, trail)).decode("gbk")}
            except UnicodeDecodeError:
                continue
    return found


def main(source: Path, target: Path) -> None:
    from fontTools import subset
    from fontTools.ttLib import TTFont

    options = subset.Options()
    options.drop_tables += ["GPOS", "GSUB", "BASE", "vhea", "vmtx", "VORG", "DSIG"]  # Chinese text set from left to right needs none of them
    options.hinting, options.notdef_outline, options.name_IDs, options.desubroutinize = False, True, [0, 1, 2, 3, 4, 5, 6, 13, 14], False
    font = TTFont(source, fontNumber=next(n for n in range(10) if "CJK SC" in str(TTFont(source, fontNumber=n, lazy=True)["name"].getDebugName(1))), lazy=True)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters())
    subsetter.subset(font)
    target.parent.mkdir(parents=True, exist_ok=True)
    font.save(target)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
