"""A table's preprocessing as ONNX operators: its columns are the inputs, its answers the outputs.

What ``TablePreprocessor`` does to a row is written in double precision, as it is computed there, so
that the network gets the same float32 features:

==========  =================================  ================================================
column      input, (N, 1)                      features
==========  =================================  ================================================
numeric     DOUBLE, NaN is a gap               (x - mean) / std, 1 in a gap
boolean     STRING: true, no, 1, ...           one-hot: LabelEncoder, OneHotEncoder
text        STRING, "" is a gap                one-hot; zeros for what training never showed
date        INT64: microseconds since 1970     days, year, month, weekday, hour, standardised
==========  =================================  ================================================

The operators are those of ONNX, LabelEncoder and OneHotEncoder of ``ai.onnx.ml``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper

from nnscratch.data import (
    CategoricalColumn,
    ClassTarget,
    DateColumn,
    NumberTarget,
    NumericColumn,
    TableEncoder,
)
from nnscratch.data.columns import HUGE, aliases
from nnscratch.data.spellings import MISSING, MISSING_IN_TEXT
from nnscratch.errors import ConfigurationError
from nnscratch.interop.onnx.types import ELEMENTS, shown
from nnscratch.interop.onnx.writing import GraphWriter

ML = "ai.onnx.ml"
ML_VERSION = 3
_INPUTS = {"numeric": TensorProto.DOUBLE, "datetime": TensorProto.INT64}
# NaT as NumPy stores it, which is what a column of datetime64[us] has in a gap as int64.
_NAT = np.iinfo(np.int64).min
_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
# Days from 0000-03-01, where the years of the algorithm below begin, to 1970-01-01.
_EPOCH = 719_468
# 400 years of the Gregorian calendar in days, and so many of them that every day is positive.
_ERA, _ERAS = 146_097, 1_000
# Words of more letters are known in small letters, in capitals, and with capitals in front.
_MOST_MIXED = 5


def write_columns_in(
    writer: GraphWriter, encoder: TableEncoder, dtype: Any
) -> tuple[list[ValueInfoProto], str, str]:
    """Write what makes the features of a table's columns.

    Returns:
        The inputs, the name of the features (N, F), and that of a (N, 1) boolean tensor: rows in
        which a number is infinite, or so far from the training's that it overflows float32.

    Raises:
        ConfigurationError: if a column's name or a category cannot be written, naming it.
    """
    infos = [
        helper.make_tensor_value_info(
            writer.column(_utf8(column.name, "the column")),
            _INPUTS.get(column.kind, TensorProto.STRING),
            ["batch", 1],
        )
        for column in encoder.columns
    ]
    made: dict[str, list[str]] = {}  # blocks of features, and the names of the features in each
    numeric = [column for column in encoder.columns if isinstance(column, NumericColumn)]
    if numeric:
        made |= _numbers(writer, numeric)
    for column in encoder.columns:
        if isinstance(column, CategoricalColumn):
            made[_categories(writer, column)] = _marked(column.name, column.feature_names)
        elif isinstance(column, DateColumn):
            made |= _dates(writer, column)
    features = _joined(writer, list(made))
    found = [name for names in made.values() for name in names]
    wanted = [name for c in encoder.columns for name in _marked(c.name, c.feature_names)]
    if found != wanted:
        order = writer.ints([found.index(name) for name in wanted])
        features = writer.emit("Gather", [features, order], axis=1)
    infinite = writer.emit("Cast", [writer.emit("IsInf", [features])], to=TensorProto.INT32)
    far = writer.emit("ReduceMax", [infinite, writer.ints([1])], keepdims=1)
    far = writer.emit("Cast", [far], to=TensorProto.BOOL)
    if np.dtype(dtype) != np.float32:
        features = writer.emit("Cast", [features], to=ELEMENTS[np.dtype(dtype).name])
    return infos, features, far


def write_answers(
    writer: GraphWriter, target: ClassTarget | NumberTarget, scores: str, far: str, names: list[str]
) -> list[ValueInfoProto]:
    """Write what the scores (N, K) mean: label and probabilities, or the value in its own units.

    A row that is too ``far`` gets NaN, and the label "" among texts, NaN among floating-point
    numbers, the least int64 among whole ones.
    """
    if isinstance(target, NumberTarget):
        scale = target.standardiser
        value = writer.emit("Cast", [scores], to=TensorProto.DOUBLE)
        value = writer.emit("Mul", [value, writer.constant(np.float64(scale.std[0]))])
        value = writer.emit("Add", [value, writer.constant(np.float64(scale.mean[0]))])
        value = writer.emit("Where", [far, writer.constant(np.float64(np.nan)), value])
        _identity(writer, value, names[0])
        return [helper.make_tensor_value_info(names[0], TensorProto.DOUBLE, ["batch", 1])]
    number = writer.emit("ArgMax", [scores], axis=1, keepdims=0)
    rows = writer.emit("Squeeze", [far, writer.ints([1])])
    number = writer.emit("Where", [rows, writer.constant(np.int64(target.outputs)), number])
    labels = _labels(writer, target)
    _identity(writer, writer.emit("Gather", [labels.name, number], axis=0), names[0])
    shares = writer.emit("Softmax", [scores], axis=1)
    nan = writer.emit("CastLike", [writer.constant(np.float32(np.nan)), shares])
    _identity(writer, writer.emit("Where", [far, nan, shares]), names[1])
    return [
        helper.make_tensor_value_info(names[0], labels.data_type, ["batch"]),
        helper.make_tensor_value_info(names[1], TensorProto.FLOAT, ["batch", target.outputs]),
    ]


def _identity(writer: GraphWriter, source: str, name: str) -> None:
    writer.nodes.append(helper.make_node("Identity", [source], [name], name))


def _labels(writer: GraphWriter, target: ClassTarget) -> TensorProto:
    """Write the classes as a vector, with a last one for rows that have none."""
    kinds: dict[type, tuple[int, Any]] = {
        str: (TensorProto.STRING, ""),
        int: (TensorProto.INT64, _NAT),
        float: (TensorProto.DOUBLE, float("nan")),
        bool: (TensorProto.BOOL, False),
    }
    element, none = kinds[type(target.classes[0])]
    listed: list[Any] = [*target.classes, none]
    if element == TensorProto.STRING:
        listed = [_utf8(one, "the class").encode() for one in listed]
    made = helper.make_tensor(writer.free("classes"), element, [len(listed)], listed)
    writer.constants.append(made)
    return made


def _joined(writer: GraphWriter, names: list[str]) -> str:
    return names[0] if len(names) == 1 else str(writer.emit("Concat", names, axis=1))


def _marked(column: str, names: Iterable[str]) -> list[str]:
    """Return names of features that differ where those of two columns do not."""
    return [f"{column}\n{name}" for name in names]


def _numbers(writer: GraphWriter, columns: Sequence[NumericColumn]) -> dict[str, list[str]]:
    """Write the features of all columns of numbers at once: two blocks, numbers and gaps."""
    x = _joined(writer, [column.name for column in columns])
    missing = writer.emit("IsNaN", [x])
    fill = [c.mean if c.fill is None else c.fill for c in columns]
    x = writer.emit("Where", [missing, writer.constant(np.array(fill, np.float64)), x])
    made = {
        _standardised(writer, x, columns): [
            name for c in columns for name in _marked(c.name, [c.name])
        ]
    }
    gaps = [place for place, column in enumerate(columns) if column.gaps]
    if gaps:
        if len(gaps) < len(columns):
            missing = writer.emit("Gather", [missing, writer.ints(gaps)], axis=1)
        shown_gaps = writer.emit("Cast", [missing], to=TensorProto.FLOAT)
        made[shown_gaps] = [
            name for c in columns if c.gaps for name in _marked(c.name, c.feature_names[1:])
        ]
    return made


def _standardised(writer: GraphWriter, x: str, columns: Sequence[NumericColumn]) -> str:
    """Write (x - mean) / std of the columns of x, float64, as float32.

    As in ``nnscratch.data.columns.standardised``, x is divided first where std is huge.
    """
    mean, std = (np.array([getattr(c, key) for c in columns]) for key in ("mean", "std"))
    large = np.where(std > HUGE, std, 1.0)
    if (std > HUGE).any():
        x = writer.emit("Div", [x, writer.constant(large)])
    x = writer.emit("Sub", [x, writer.constant(mean / large)])
    x = writer.emit("Div", [x, writer.constant(std / large)])
    return str(writer.emit("Cast", [x], to=TensorProto.FLOAT))


def _categories(writer: GraphWriter, column: CategoricalColumn) -> str:
    """Write the features of a column of texts: each text's number, and a 1 in its place."""
    width = len(column.feature_names)
    places = {category: place for place, category in enumerate(column.categories)}
    gap = width - 1 if column.gaps else -1 if column.fill is None else places[column.fill]
    # The first to know a text has it, as in ``CategoricalColumn.encode``.
    words = dict(places)
    for word, place in aliases(column.categories).items():
        for spelled in _spellings(word):
            words.setdefault(spelled, place)
    for word in ("", " ", *(MISSING if column.gaps else MISSING_IN_TEXT)):
        for spelled in _spellings(word):
            words.setdefault(spelled, gap)
    # What is neither true nor false in a column of these is a gap; other texts are new categories.
    unknown = gap if column.kind == "boolean" else len(column.categories) if column.other else -1
    what = f"a category of column {shown(column.name)}"
    number = writer.emit(
        "LabelEncoder", [column.name], domain=ML,
        keys_strings=[_utf8(word, what).encode() for word in words],
        values_int64s=list(words.values()), default_int64=unknown,
    )  # fmt: skip
    one_hot = writer.emit(
        "OneHotEncoder", [number], domain=ML, cats_int64s=list(range(width)), zeros=1
    )  # fmt: skip
    return str(writer.emit("Reshape", [one_hot, writer.ints([-1, width])]))


def _spellings(word: str) -> list[str]:
    """Return how a word may be written in small letters and capitals.

    >>> _spellings("no"), _spellings("missing")
    (['NO', 'No', 'nO', 'no'], ['MISSING', 'Missing', 'missing'])
    """
    if sum(letter.isalpha() for letter in word) > _MOST_MIXED:
        return sorted({word, word.upper(), word.capitalize(), word.title()})
    mixed = itertools.product(*[{letter, letter.upper()} for letter in word])
    return sorted("".join(letters) for letters in mixed)


def _dates(writer: GraphWriter, column: DateColumn) -> dict[str, list[str]]:
    """Write the parts of dates, as ``nnscratch.data.dates.parts_of`` computes them.

    Year and month come from the day by whole numbers: in a calendar that begins on the first of
    March the leap day is the last of its year, months have (153 m + 2) // 5 days before them, and
    400 years always as many days (H. Hinnant, "chrono-compatible low-level date algorithms", 2013).
    """

    def of(op: str, a: str, b: int) -> str:
        return str(writer.emit(op, [a, writer.constant(np.int64(b))]))

    def sum_of(a: str, *others: tuple[int, str]) -> str:
        for factor, b in others:
            a = writer.emit("Add" if factor > 0 else "Sub", [a, b])
        return a

    missing = writer.emit("Equal", [column.name, writer.constant(np.int64(_NAT))])
    filled = writer.constant(np.int64(column.fill))
    moments = writer.emit("Where", [missing, filled, column.name])
    rest = of("Mod", moments, _DAY)  # not negative, as divisors are positive
    day = of("Div", writer.emit("Sub", [moments, rest]), _DAY)
    hour = writer.emit("Cast", [rest], to=TensorProto.DOUBLE)
    hour = writer.emit("Div", [hour, writer.constant(np.float64(_HOUR))])

    positive = of("Add", day, _EPOCH + _ERA * _ERAS)
    in_era = of("Mod", positive, _ERA)
    # Leap days are taken out: one in 1460 days, none at the end of a century, one after 400 years.
    plain = sum_of(
        in_era,
        (-1, of("Div", in_era, 1_460)),
        (+1, of("Div", in_era, 36_524)),
        (-1, of("Div", in_era, 146_096)),
    )
    year = of("Div", plain, 365)
    days_before = sum_of(
        of("Mul", year, 365), (+1, of("Div", year, 4)), (-1, of("Div", year, 100))
    )  # fmt: skip
    in_year = writer.emit("Sub", [in_era, days_before])
    month = of("Div", of("Add", of("Mul", in_year, 5), 2), 153)  # 0 is March
    eras = of("Mul", of("Sub", of("Div", positive, _ERA), _ERAS), 400)
    january = of("Add", month, 2)
    whole = {
        "year": sum_of(year, (+1, eras), (+1, of("Div", january, 12))),
        "month": of("Add", of("Mod", january, 12), 1),
        "weekday": of("Mod", of("Add", day, 3), 7),  # 1970-01-01 was a Thursday
    }
    parts = {k: writer.emit("Cast", [v], to=TensorProto.DOUBLE) for k, v in whole.items()}
    share = writer.emit("Div", [hour, writer.constant(np.float64(24.0))])
    days = writer.emit("Cast", [day], to=TensorProto.DOUBLE)
    parts |= {"hour": hour, "days": writer.emit("Add", [days, share])}
    joined = _joined(writer, [parts[part.name] for part in column.parts])
    names = _marked(column.name, column.feature_names)
    made = {_standardised(writer, joined, column.parts): names[: len(column.parts)]}
    if column.gaps:
        gaps = writer.emit("Cast", [missing], to=TensorProto.FLOAT)
        made[gaps] = names[len(column.parts) :]
    return made


def _utf8(text: str, what: str) -> str:
    """Return a text that ONNX can hold, which are those of Unicode, and no empty names.

    Raises:
        ConfigurationError: if it is none.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"export: {what} {shown(text)} is no text of Unicode, which ONNX asks for"
        ) from None
    if not text and what == "the column":
        raise ConfigurationError("export: a column without a name cannot be an input of ONNX")
    return text
