"""webrtcvad's own function, for compiled loops: by the address at which the extension module exports it.

Its Python wrapper, and the `bytes` that it wants, took 0.2 us a frame beside the 1.1 us of the detector. Each detector
lives in the capsule that the wrapper makes, and dies with it; loops get its address. No bounds or types are checked on
that way: a frame has 160 samples at 8 kHz or 320 at 16 kHz.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import _webrtcvad  # type: ignore[import-not-found]  # the extension behind webrtcvad ships no types
import llvmlite.binding
from numba import types
from numba.core import config

_MODE: Final = 3
_SYMBOL: Final = "WebRtcVad_Process"

# With the GIL, as everything the plane calls.
_exported = getattr(ctypes.PyDLL(_webrtcvad.__file__), _SYMBOL)
_exported.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)

llvmlite.binding.add_symbol(_SYMBOL, ctypes.cast(_exported, ctypes.c_void_p).value)
process: Any = types.ExternalFunction(
    _SYMBOL, types.int32(types.int64, types.int32, types.voidptr, types.uint64)
)
"""(address of a detector, Hz, `.ctypes` of the samples, how many) -> 1 for a voice, 0, or -1. For compiled loops."""
if config.DISABLE_JIT:  # type: ignore[attr-defined]  # numba makes its settings at run time
    process = _exported


def new_detector() -> tuple[Any, int]:
    """A detector in mode 3, to be kept, and its address while it is."""
    detector = _webrtcvad.create()
    _webrtcvad.init(detector)
    _webrtcvad.set_mode(detector, _MODE)
    return detector, _pointer(detector, b"WebRtcVadPtr")
