"""Whether CUDA can be used here, what is missing if not, and what to do about it."""

from __future__ import annotations

import importlib
import importlib.util
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from nnscratch.array.named import NamedValues
from nnscratch.errors import DeviceError

# The oldest driver for each major version of CUDA on Linux, from its release notes.
_DRIVERS = {12: "525.60.13", 13: "580.65.06"}
_EXTRAS = {12: "cuda12", 13: "cuda13"}
_INSTALL = (
    'install it by pip install "nnscratch[cuda13]" (driver 580 or newer) or '
    'pip install "nnscratch[cuda12]" (driver 525 or newer)'
)


class CudaRequirement(NamedValues):
    """One thing that CUDA needs, and the state in which this machine has it.

    Attributes:
        name: "CuPy", "driver", "GPU", "compiler" or "headers".
        found: the version or state that was found.
        mend: what to do about it; None if nothing has to be done.
    """

    name: str
    found: str
    mend: str | None = None


def cupy_wheels() -> list[str]:
    """Return the installed distributions that bring a package ``cupy``, with their versions."""
    import importlib.metadata

    named = {
        (distribution.metadata["Name"] or "").lower(): distribution.version
        for distribution in importlib.metadata.distributions()
    }
    return [
        f"{name} {version}"
        for name, version in sorted(named.items())
        if re.fullmatch(r"cupy(-cuda\w+|-rocm[\w-]+)?|amd-cupy", name)
    ]


def _version(number: int) -> str:
    """Return a CUDA version, which CUDA counts as 1000 major + 10 minor, as "major.minor".

    >>> _version(12040)
    '12.4'
    """
    return f"{number // 1000}.{number % 1000 // 10}"


@cache
def cuda_problem() -> str | None:
    """Say why CUDA cannot be used here, or return None if it can.

    The answer names what is missing and how to get it.
    """
    for finding in cuda_report():
        if finding.mend is not None and finding.name in _NECESSARY:
            return f"{finding.found}; {finding.mend}"
    return None


_NECESSARY = ("CuPy", "driver", "GPU")


def cuda_report() -> list[CudaRequirement]:
    """Return the requirements of CUDA one by one, for ``nnscratch doctor``.

    The list ends at the first requirement without which the next ones cannot be asked for.

    >>> cuda_report()[0].name
    'CuPy'
    """
    wheels = cupy_wheels()
    if len(wheels) > 1:
        names = " ".join(wheel.partition(" ")[0] for wheel in wheels)
        mend = (
            f"CuPy's packages overwrite each other: pip uninstall -y {names}, then {_INSTALL}; "
            "only one of them may be installed"
        )
        return [CudaRequirement("CuPy", f"{len(wheels)} at once: {', '.join(wheels)}", mend)]
    if not wheels and importlib.util.find_spec("cupy") is None:
        return [CudaRequirement("CuPy", "CuPy is not installed", f"with an NVIDIA GPU {_INSTALL}")]
    try:
        import cupy
    except Exception as error:  # a missing library surfaces as almost anything
        mend = f"reinstall it: pip uninstall -y cupy-cuda12x cupy-cuda13x, then {_INSTALL}"
        return [CudaRequirement("CuPy", f"CuPy cannot be imported ({error})", mend)]
    rows = [CudaRequirement("CuPy", wheels[0] if wheels else f"cupy {cupy.__version__}")]
    rows.append(_driver(cupy))
    if rows[-1].mend is None:
        rows.append(_gpus(cupy))
    rows.append(_compiler())
    rows.append(_headers())
    return rows


def _driver(cupy: Any) -> CudaRequirement:
    runtime = int(cupy.cuda.runtime.runtimeGetVersion())
    try:
        driver = int(cupy.cuda.runtime.driverGetVersion())
    except Exception:
        driver = 0
    installed = _installed_driver()
    needed = f"for CUDA {_version(runtime)}, which this CuPy was built for"
    if driver == 0:
        mend = "install NVIDIA's driver and check that nvidia-smi lists the GPU"
        return CudaRequirement("driver", f"CuPy finds no NVIDIA driver {needed}", mend)
    found = f"for CUDA {_version(driver)}{f' ({installed})' if installed else ''}"
    # Within one major version a newer runtime works on an older driver.
    if driver // 1000 >= runtime // 1000:
        return CudaRequirement("driver", found)
    major, other = runtime // 1000, driver // 1000
    mend = f"update it to {_DRIVERS.get(major, 'a newer one')} or newer"
    if other in _EXTRAS:
        mend += f', or take the CuPy for this driver: pip install "nnscratch[{_EXTRAS[other]}]"'
        mend += " after pip uninstall of the one there is"
    return CudaRequirement("driver", f"the NVIDIA driver is {found}, too old {needed}", mend)


def _installed_driver() -> str | None:
    with suppress(OSError):
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
        if match := re.search(r"\b(\d+\.\d+(\.\d+)?)\b", text):
            return match[1]
    return None


def _gpus(cupy: Any) -> CudaRequirement:
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return CudaRequirement("GPU", f"CuPy finds no usable GPU ({error})", "check nvidia-smi")
    if count == 0:
        hidden = "check nvidia-smi, and CUDA_VISIBLE_DEVICES, which can hide one"
        return CudaRequirement("GPU", "CuPy finds no NVIDIA GPU", hidden)
    names = []
    for index in range(count):
        told = cupy.cuda.runtime.getDeviceProperties(index)
        name = told["name"].decode() if isinstance(told["name"], bytes) else told["name"]
        capability = f"sm_{told['major']}{told['minor']}"
        names.append(f"{name} ({capability}, {told['totalGlobalMem'] / 1e9:.0f} GB)")
    return CudaRequirement("GPU", ", ".join(names))


def _compiler() -> CudaRequirement:
    """Report on NVRTC, which compiles CuPy's kernels and those of nnscratch."""
    try:
        nvrtc = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
        return CudaRequirement("compiler", "NVRTC {}.{}".format(*nvrtc.getVersion()))
    except Exception as error:
        mend = (
            "install the CUDA toolkit, or its parts as wheels: pip install "
            "nvidia-cuda-nvrtc-cu12 (for CUDA 13: nvidia-cuda-nvrtc)"
        )
        return CudaRequirement(
            "compiler", f"NVRTC was not found ({str(error).splitlines()[0]})", mend
        )


def _headers() -> CudaRequirement:
    """Report on the CUDA headers that CuPy's own kernels include."""
    import sysconfig

    folders = []
    with suppress(Exception):
        from cupy._environment import get_cuda_path

        if path := get_cuda_path():
            folders += [Path(path, "include"), *Path(path).glob("targets/*/include")]
    packages = Path(sysconfig.get_paths()["purelib"], "nvidia")
    folders += [packages / "cuda_runtime" / "include", *sorted(packages.glob("cu1*/include"))]
    for folder in folders:
        if (folder / "cuda_fp16.h").exists():
            return CudaRequirement("headers", str(folder))
    mend = (
        "install the CUDA toolkit and set CUDA_PATH, or its headers as a wheel: pip install "
        "nvidia-cuda-runtime-cu12 (for CUDA 13: nvidia-cuda-runtime)"
    )
    return CudaRequirement(
        "headers", "cuda_fp16.h was not found, which CuPy's kernels include", mend
    )


def cupy() -> Any:
    """Return the CuPy module.

    Raises:
        DeviceError: if CUDA cannot be used here; it says why and what to install.
    """
    problem = cuda_problem()
    if problem is not None:
        raise DeviceError(f"device 'cuda' cannot be used: {problem}. `nnscratch doctor` says more.")
    import cupy

    return cupy
