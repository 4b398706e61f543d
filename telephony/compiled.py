"""Loops over rows and samples, compiled to machine code when their module is imported.

For the few loops that run for every packet: numpy needs a pass, and a temporary array, for each step of such a loop.
The signature is given so that nothing is compiled during a call; the result is kept beside the source (or in
`NUMBA_CACHE_DIR`), so that only the first start after a change compiles. A compiled function keeps the GIL, as the
plane's system calls do: it takes microseconds, and beside a CPU-bound thread getting the GIL back takes longer.
With `NUMBA_DISABLE_JIT=1` the same functions run as Python, for a debugger.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.core.typing.templates import Signature

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(*signatures: str | Signature) -> Callable[[Function], Function]:
    """A decorator; `signatures` in numba's words: `"i8(u1[:,::1], i8[::1])"`, a result and its arguments, or its types.

    Without a signature: for a function that only compiled ones of the same module call. A change of a function or a
    constant in another module would not compile those who use it again: constants are arguments or stand beside. Raises,
    when the module is imported: numba's TypingError for code that does not fit the signature.
    """
    given = list(signatures) or None

    def decorate(function: Function) -> Function:
        try:
            return cast("Function", numba.njit(given, cache=True)(function))
        except RuntimeError:
            # Neither the source's folder nor the user's can be written: compiled again at each start.
            return cast("Function", numba.njit(given)(function))

    return decorate
