"""The kernels' text: what is declared in it, and the report of the registers that it takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnscratch.formulas.fused import FUSABLE
from nnscratch.kernels.cuda import IMPLEMENTATIONS, compile_report
from nnscratch.kernels.cuda.bodies import formulas
from nnscratch.kernels.cuda.source import FOLDER, files, parse, signatures, text


def test_every_text_belongs_to_a_kernel() -> None:
    # Copies stand before any kernel whose arrays do not lie in order.
    used = {file for one in IMPLEMENTATIONS.values() for file in one.files} | {"copies"}
    assert set(files()) == used
    assert not {path.stem for path in FOLDER.glob("*.cu")} & set(formulas())


def test_kernels_and_parameters_are_read_from_the_text() -> None:
    source = """
    #define ALL(DO) \\
      DO(0, one)    \\
      DO(1, two)
    KERNEL plain(const REAL* x, Index n) { }  // KERNEL not_me(int a)
    #define MAKE(CODE, NAME)                \\
      KERNEL made_##NAME(REAL* y,           \\
                         double p) { f<CODE>(y); }
ALL(MAKE)
"""
    found = parse(source)
    assert list(found) == ["plain", "made_one", "made_two"]
    x, n = found["plain"]
    assert (x.name, x.type, x.pointer, x.const) == ("x", "REAL", True, True)
    assert (n.name, n.type, n.pointer, n.const) == ("n", "Index", False, False)
    with pytest.raises(ValueError, match="cannot read the parameter"):
        parse("KERNEL k(unsigned int* x) {}")


def test_headers_are_in_the_text_and_lines_keep_their_numbers() -> None:
    whole = text("linear")
    assert "#include" not in whole
    assert whole.count("struct alignas(16) Pack") == 1
    number = None
    lines = (FOLDER / "linear.cu").read_text(encoding="utf-8").splitlines()
    for line in whole.splitlines():
        if match := re.match(r'#line (\d+) "(.*)"', line):
            number = int(match[1]) if match[2] == "linear.cu" else None
        elif number is not None:
            if line:
                assert line == lines[number - 1]
            number += 1


@pytest.mark.parametrize("file", files())
def test_no_floating_point_number_is_added_atomically(file: str) -> None:
    assert "atomic" not in re.sub(r"//.*", "", text(file))


def test_every_fusable_activation_follows_a_product() -> None:
    for family in ("bias_activation", "bias_activation_backward", "matmul"):
        file = "matmul" if family == "matmul" else "linear"
        names = {
            name.removeprefix(f"{family}_")
            for name in signatures(file)
            if name.startswith(f"{family}_") and not name.startswith(f"{family}_backward_")
        }
        assert names == {*FUSABLE, "identity"}


def test_a_cuda_compiler_takes_one_file_where_there_is_one() -> None:
    """All of them take minutes: that is what compile_report is for."""
    compiler = compile_report.find_compiler()
    if compiler is not None:
        used = compile_report.read(compiler.compile("reductions", "float32", "sm_90"))
        assert set(used) == set(signatures("reductions"))
        with pytest.MonkeyPatch.context() as patch:
            wrong = text("reductions") + "\nKERNEL wrong() { int unused = 1; nonsense; }\n"
            patch.setattr(compile_report, "text", lambda file: wrong)
            with pytest.raises(compile_report.CompileError, match=r"reductions\.cu.*nonsense"):
                compiler.compile("reductions", "float32", "sm_90")


def test_without_a_compiler_the_report_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(compile_report, "find_compiler", lambda: None)
    assert compile_report.main(["--out", str(tmp_path)]) == 2
    assert "pip install nvidia-cuda-nvrtc" in capsys.readouterr().err


def test_the_report_is_written_or_the_compilers_words_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = (
        "Compiling entry function 'k' for 'sm_80'\n"
        "0 bytes stack frame, 8 bytes spill stores, 0 bytes spill loads\nUsed 24 registers\n"
    )
    fake = compile_report.Compiler("fake 1", lambda file, dtype, architecture: said)
    monkeypatch.setattr(compile_report, "find_compiler", lambda: fake)
    assert compile_report.main(["--out", str(tmp_path), "--arch", "sm_80"]) == 0
    page = (tmp_path / "cuda_registers.md").read_text()
    assert "| linear.cu | k | 24 / 24 | 0 | 8 |" in page
    assert f"{len(files())} spill." in page

    def refuse(file: str, dtype: str, architecture: str) -> str:
        raise compile_report.CompileError("linear.cu: error: expected a ;")

    broken = compile_report.Compiler("fake 1", refuse)
    monkeypatch.setattr(compile_report, "find_compiler", lambda: broken)
    assert compile_report.main(["--out", str(tmp_path)]) == 1
    assert "expected a ;" in capsys.readouterr().err
