"""Letters to sounds for names that are in no dictionary: plain rules of English spelling.

Good enough for a recogniser that only has to tell such a word from the other expected ones. Not for
speaking: the voices have their own rules.
"""

from typing import Final

PHONES: Final = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH",
    "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH",
    "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
# Longest match first; "" is silent.
RULES: Final = {
    "tion": "SH AH N", "sion": "ZH AH N", "ough": "OW", "augh": "AO", "eigh": "EY",
    "tch": "CH", "sch": "SH", "igh": "AY", "dge": "JH", "eau": "OW", "ian": "IY AH N",
    "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "wh": "W", "ck": "K", "ng": "NG", "qu": "K W",
    "gh": "G", "kn": "N", "wr": "R", "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "OW",
    "oa": "OW", "oi": "OY", "oy": "OY", "ai": "EY", "ay": "EY", "au": "AO", "aw": "AO", "ei": "AY",
    "ey": "IY", "ie": "IY", "ue": "UW", "ew": "UW", "er": "ER", "ir": "ER", "ur": "ER", "ar": "AA R",
    "or": "AO R", "ll": "L", "ss": "S", "tt": "T", "nn": "N", "mm": "M", "rr": "R", "pp": "P",
    "bb": "B", "dd": "D", "ff": "F", "gg": "G", "cc": "K", "zz": "Z", "kk": "K", "ce": "S EH",
    "ci": "S IH", "cy": "S IY", "ge": "JH EH", "gi": "JH IH", "aa": "AA", "ii": "IY", "uu": "UW",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH",
    "j": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R",
    "s": "S", "t": "T", "u": "AH", "v": "V", "w": "W", "x": "K S", "y": "Y", "z": "Z", "'": "",
}  # fmt: skip
# At the end of a word these letters sound otherwise.
ENDINGS: Final = {"a": "AH", "e": "", "i": "IY", "o": "OW", "u": "UW", "y": "IY", "es": "IY Z"}
LONGEST_WORD: Final = 40


def spell(word: str) -> str:
    """ARPAbet phones of a word of Latin letters; empty if there are none or other letters."""
    if len(word) > LONGEST_WORD or not any(letter.isalpha() for letter in word):
        return ""
    phones: list[str] = []
    at = 0
    while at < len(word):
        rest = word[at:]
        if phones and rest in ENDINGS:
            phones += ENDINGS[rest].split()
            break
        length = next((n for n in (4, 3, 2, 1) if len(rest) >= n and rest[:n] in RULES), 0)
        if not length:
            return ""
        phones += RULES[rest[:length]].split()
        at += length
    return " ".join(phones)
