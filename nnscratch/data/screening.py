"""Finding columns that are useless as features: empty ones, and identifiers of the rows."""

import re
from dataclasses import dataclass

import numpy as np

from nnscratch.data.table import Table

# Names of columns that identify or number the rows.
_IDENTIFIER = re.compile(
    r"(^|.*[\W_])(id|ids|uid|uuid|guid|index|idx|row|rowid|row_?(num|number|no)|obs|key|serial)$"
    r"|^(no|nr|num|#|observation|record|case)\.?$",
    re.IGNORECASE,
)
_CAMEL = re.compile(r".*[a-z]I[Dd]$")
# In fewer rows, all values may be different by chance.
_ENOUGH = 10


@dataclass(frozen=True)
class Screened:
    """The result of ``screen``.

    Args:
        empty: columns without any value.
        identifiers: columns of names, codes or numbers with a different value in every row.
        counting: columns that count the rows from 0 or 1, but are not named like identifiers.
    """

    empty: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    counting: tuple[str, ...] = ()


def screen(table: Table, target: str) -> Screened:
    """Find the columns of a table, other than the target, that are useless as features.

    A column of texts is an identifier if all are different; one of integers, if it is also named
    like one (`id`, `customer_id`, `index`). Integers that count the rows under another name
    (`time`, `day`) may mean something.

    >>> names = np.array([f"tree {i}" for i in range(12)])
    >>> table = Table("t", {"name": names, "tree_id": np.arange(12) * 7, "kind": np.arange(12) % 2})
    >>> screen(table, "kind").identifiers
    ('name', 'tree_id')
    """
    empty, identifiers, counting = [], [], []
    for name, values in table.columns.items():
        if name == target:
            continue
        missing = table.missing(name)
        if missing.all():
            empty.append(name)
            continue
        present = values[~missing] if missing.any() else values
        if len(present) < max(_ENOUGH, len(values) // 2) or present.dtype.kind not in "iO":
            continue
        if present.dtype.kind == "O":
            # The first hundred nearly always show it, and save making a set of all texts.
            if len(set(present[:100].tolist())) == len(present[:100]) and (
                len(set(present.tolist())) == len(present)
            ):
                identifiers.append(name)
            continue
        counts = int(present[0]) in (0, 1) and bool((np.diff(present) == 1).all())
        called = is_identifier_name(name)
        if called and (counts or len(np.unique(present)) == len(present)):
            identifiers.append(name)
        elif counts and len(present) == len(values):
            counting.append(name)
    return Screened(tuple(empty), tuple(identifiers), tuple(counting))


def is_identifier_name(name: str) -> bool:
    """Say whether the name of a column is typical of identifiers.

    >>> [is_identifier_name(name) for name in ("id", "PassengerId", "user-id", "grid", "humid")]
    [True, True, True, False, False]
    """
    return _CAMEL.fullmatch(name) is not None or _IDENTIFIER.fullmatch(name) is not None
