"""What a file really is, whatever its name says: the text in it, or what to do with it."""

import bz2
import codecs
import gzip
import io
import zipfile
import zlib

from nnscratch.data._io import CHUNK, some
from nnscratch.errors import DataError

# Files that are no text at all, by how they begin.
_BINARY = (
    (b"\xd0\xcf\x11\xe0", "an Excel workbook of the old kind (.xls)", "save it as CSV"),
    (b"\x93NUMPY", "a NumPy array (.npy)", "write it as a table with column names"),
    (b"\x89HDF", "an HDF5 file", "write the table in it as CSV or Parquet"),
    (b"SQLite format 3\x00", "an SQLite database", "export the table in it as CSV"),
    (b"%PDF", "a PDF document", "export the table in it as CSV"),
    (b"\x89PNG", "a PNG image", "name a table, or a folder of images for each class"),
    (
        b"\xff\xd8\xff",
        "a JPEG image",
        "name a table, or a folder with a folder of images for each class",
    ),
    (b"ARROW1", "an Arrow (Feather) file", "write it as CSV or Parquet"),
    (b"\xffARROW", "an Arrow file", "write it as CSV or Parquet"),
    (b"ORC", "an ORC file", "write it as CSV or Parquet"),
    (b"Obj\x01", "an Avro file", "write it as CSV or Parquet"),
    (b"$FL2", "an SPSS file", "export it as CSV"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard", "unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"\x80\x04\x95", "a Python pickle", "write the table as CSV or Parquet"),
    (b"RDX3", "an R data file", "write it with R's write.csv"),
)
# Text that is no table of separated values, by how its first line begins, in lower case.
_OTHER_TEXT = (
    ("<!doctype html", "a page of HTML, not a table", "download the file itself"),
    ("<html", "a page of HTML, not a table", "download the file itself"),
    ("<?xml", "an XML document", "save the table in it as CSV"),
    ("{", "JSON", "write it as a CSV file"),
    ("[{", "JSON", "write it as a CSV file"),
    ("[[", "JSON", "write it as a CSV file"),
    ("[\n", "JSON", "write it as a CSV file"),
    ("@relation", "an ARFF file", "save it as CSV (Weka: Save..., CSV data files)"),
    ("version https://git-lfs", "a pointer of Git LFS, not the file", "run `git lfs pull`"),
)
_AS_TEXT = "the text in it as a plain text file (UTF-8)"
_ENDINGS_OF_TABLES = (".csv", ".tsv", ".txt", ".tab", ".data", ".dat")
# Marks at the beginning of a text in another encoding than UTF-8; those of four bytes first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\f\x1a")


def unpack(raw: bytes, source: str, wanted: str = "table") -> tuple[bytes, str]:
    """The content of a file that may be compressed, and how it was (empty: it was not).

    Args:
        raw: the file.
        source: its name.
        wanted: what it should be, "table" or "text".

    Raises:
        DataError: it is damaged, an archive of several files, or another kind of file than wanted.
    """
    try:
        if raw.startswith(b"\x1f\x8b"):
            content, how = gzip.decompress(raw), "gzip"
        elif raw.startswith(b"BZh"):
            content, how = bz2.decompress(raw), "bzip2"
        elif raw.startswith(b"\xfd7zXZ\x00"):
            content, how = _unxz(raw, source), "xz"
        elif raw.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            content, how = _only_member(raw, source, wanted), "zip"
        else:
            content, how = raw, ""
    except DataError:
        raise
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(
            f"{source}: the compressed file is damaged or cut off ({error}); fetch it again"
        ) from None
    if content[257:262] == b"ustar":
        raise DataError(
            f"{source}: this is a tar archive: unpack it, and name the folder or the file in it "
            "that is meant"
        )
    for start, what, mend in _BINARY:
        if content.startswith(start):
            if wanted == "text" and "unpack" not in mend:
                mend = f"save {_AS_TEXT}"
            raise DataError(f"{source}: this is {what}: {mend}")
    return content, how


def _unxz(raw: bytes, source: str) -> bytes:
    try:
        import lzma  # which a Python may lack, as Pyodide's does until it is told to load it
    except ImportError:
        raise DataError(
            f"{source}: this is compressed with xz, which this Python cannot read (it has no lzma "
            "module); unpack it first"
        ) from None
    try:
        return lzma.decompress(raw)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from error


def _only_member(raw: bytes, source: str, wanted: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = [one.filename for one in archive.infolist() if not one.is_dir()]
            # What a Mac adds to every archive.
            names = [one for one in names if not one.startswith("__MACOSX/")]
            if any(name.startswith("word/") for name in names):
                raise DataError(f"{source}: this is a Word document: save {_AS_TEXT}")
            if "[Content_Types].xml" in names or any(n.startswith("xl/") for n in names):
                raise DataError(
                    f"{source}: this is an Excel workbook: save the sheet as CSV "
                    "(File, Save as, CSV UTF-8), and name that file"
                )
            if any(name == "content.xml" for name in names):
                mend = "the sheet as CSV" if wanted == "table" else _AS_TEXT
                raise DataError(f"{source}: this is an OpenDocument file: save {mend}")
            if names and all(name.endswith(".npy") for name in names):
                raise DataError(
                    f"{source}: this is a NumPy archive (.npz) with the arrays {some(names)}, not "
                    f"a {wanted}: write it as {'CSV or Parquet' if wanted == 'table' else 'text'}; "
                    "a file with images is called .npz"
                )
            tables = [one for one in names if one.lower().endswith(_ENDINGS_OF_TABLES)]
            chosen = names if len(names) == 1 else tables
            if len(chosen) != 1:
                raise DataError(
                    f"{source}: a zip archive of {len(names)} files ({some(names, 5)}): unpack it, "
                    "and name the one that is meant"
                )
            return archive.read(chosen[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{source}: the zip archive cannot be read ({error}); unpack it first"
        ) from None


def as_utf8(raw: bytes, source: str, wanted: str = "table") -> tuple[bytes, str]:
    """A text in UTF-8 without a mark, and the encoding that it was in.

    UTF-16 and UTF-32 show by their mark, or by their zero bytes. What is none of these and not
    UTF-8 is Windows-1252, or Latin-1 where that has no such character, unless most of what is no
    ASCII in it is UTF-8: then that is damaged. ``wanted`` is as for ``unpack``.

    Raises:
        DataError: it is no text, or damaged.
    """
    mend = "name a CSV or Parquet file" if wanted == "table" else "name a plain text file"
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return _recoded(raw, encoding, source, mend), encoding.upper()
    head = raw[:4096]
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        # A zero byte in every second place is Latin text in UTF-16.
        if len(head) > 8 and zeros.count(0) > 0.9 * len(zeros):
            return _recoded(raw, encoding, source, mend), "UTF-16"
    if raw.startswith(codecs.BOM_UTF8):
        raw = raw[len(codecs.BOM_UTF8) :]
    wrong = _first_bad(raw)
    if wrong is None:
        _refuse_controls(raw, source, b"\0", mend)
        return raw, "UTF-8"
    # Latin-1 has a character for every byte: what tells a text from anything else are these.
    _refuse_controls(raw, source, _CONTROLS, mend)
    _refuse_damaged(raw, wrong, source)
    for encoding in ("cp1252", "latin-1"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        return text.encode(), "Windows-1252" if encoding == "cp1252" else "Latin-1"
    raise AssertionError("Latin-1 has every byte")


def refuse_other_text(start: str, source: str) -> None:
    """Raise a DataError if a text begins as another kind of document than a table."""
    folded = start.lstrip().lower()
    for opening, what, mend in _OTHER_TEXT:
        if folded.startswith(opening):
            raise DataError(f"{source}: this is {what}: {mend}")
    # An ARFF file may begin with remarks.
    if folded.startswith("%") and "\n@relation" in folded:
        raise DataError(f"{source}: this is an ARFF file: {_OTHER_TEXT[-2][2]}")


def _recoded(raw: bytes, encoding: str, source: str, mend: str) -> bytes:
    try:
        text = raw.decode(encoding).removeprefix("\ufeff")
        content = text.encode()
    except UnicodeError as error:
        raise DataError(
            f"{source}: the file begins as {encoding.upper()} text, but is not ({error})"
        ) from None
    _refuse_controls(content, source, b"\0", mend)
    return content


def _first_bad(raw: bytes) -> int | None:
    """Where the first byte stands that is not UTF-8, without a copy of the whole text."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(raw)
    for start in range(0, len(raw), CHUNK):
        try:
            decoder.decode(view[start : start + CHUNK], start + CHUNK >= len(raw))
        except UnicodeDecodeError as error:
            return start + error.start
    return None


def _refuse_damaged(raw: bytes, wrong: int, source: str) -> None:
    """Raise a DataError if a text is UTF-8 but for a few bytes, of which the first is given.

    Where a letter of another encoding stands, what follows it hardly ever makes it one of UTF-8.
    """
    text = raw.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    if len(text) - len(text.encode("ascii", "ignore")) < 2 * bad:
        return
    line = raw.count(b"\n", 0, wrong) + 1
    column = len(raw[raw.rfind(b"\n", 0, wrong) + 1 : wrong].decode()) + 1
    where = f"{source}: damaged UTF-8: line {line:,}, column {column:,}"
    if bad == 1 and text.endswith("\ufffd"):
        raise DataError(f"{where} ends amid a character: the file is cut off; fetch it again")
    more = f" (and {bad - 1:,} more)" if bad > 1 else ""
    raise DataError(
        f"{where} has the byte 0x{raw[wrong]:02x}, which is part of no character there{more}; put "
        "right what stands there, and save the file as UTF-8"
    )


def _refuse_controls(raw: bytes, source: str, controls: bytes, mend: str) -> None:
    found = [position for one in controls if (position := raw.find(bytes([one]))) >= 0]
    if not found:
        return
    position = min(found)
    line = raw.count(b"\n", 0, position) + 1
    what = "a zero byte" if raw[position] == 0 else f"the byte 0x{raw[position]:02x}"
    raise DataError(
        f"{source}: not a text file: line {line} has {what}, which stands in no text; {mend}"
    )
