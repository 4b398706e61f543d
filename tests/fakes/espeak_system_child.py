"""espeak-ng of the Debian package, also where the wheel is installed: the other half of the voice's contract."""

from agents.providers.espeak_child import SYSTEM, load
from agents.providers.voice_child import serve

if __name__ == "__main__":
    serve(lambda: load(SYSTEM))
