"""espeak-ng whose data files are gone."""

from pathlib import Path

from agents.providers.espeak_child import Installation, installation, load
from agents.providers.voice_child import serve

if __name__ == "__main__":
    serve(lambda: load(Installation(installation().library, Path("/nowhere"))))
