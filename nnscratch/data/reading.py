"""How a table's file was read: kept with a model, and reported to the user."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nnscratch.data import _records
from nnscratch.errors import CheckpointError

_FORM = "table-reading"


class TableWarning(UserWarning):
    """Something in a table that was passed over, and that a person may want to mend."""


@dataclass(frozen=True)
class Reading:
    """How the text of a file was taken for values.

    Args:
        separator: what stands between two values; empty for Parquet.
        encoding: of the text; empty for Parquet.
        compression: "gzip", "zip" and so on; empty for none.
        decimal: the decimal mark of the numbers: "." or ",".
        dates: for each column of dates its format, as `strptime` writes it.
        left_out: columns that number the rows, and are none of the data.
        notes: what else was recognised, a sentence each.
    """

    separator: str = ""
    encoding: str = ""
    compression: str = ""
    decimal: str = "."
    dates: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def noting(self, *notes: str) -> "Reading":
        """The same with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` reads, in plain JSON types."""
        return {
            "form": _FORM,
            "version": 1,
            "separator": self.separator,
            "encoding": self.encoding,
            "compression": self.compression,
            "decimal": self.decimal,
            "dates": dict(self.dates),
            "left_out": list(self.left_out),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Reading":
        """Read what `to_dict` wrote.

        Raises:
            CheckpointError: it is something else, or damaged.
        """
        texts = ("separator", "encoding", "compression", "decimal")
        saved = _records.form(value, _FORM, 1, (*texts, "dates", "left_out", "notes"))
        found = {name: _records.text(saved[name], name) for name in texts}
        if found["decimal"] not in (".", ","):
            raise CheckpointError(f"{_FORM}: decimal is '.' or ',', found {found['decimal']!r}")
        if not isinstance(saved["dates"], Mapping):
            raise CheckpointError(f"{_FORM}: expected formats by column")
        dates = {
            _records.text(name, "date column"): _records.text(form, "date format")
            for name, form in saved["dates"].items()
        }
        left_out = tuple(
            _records.text(one, "left_out") for one in _records.entries(saved["left_out"], "left")
        )
        notes = tuple(_records.text(one, "note") for one in _records.entries(saved["notes"], "n"))
        return cls(**found, dates=dates, left_out=left_out, notes=notes)
