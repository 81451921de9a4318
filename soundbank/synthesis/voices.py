"""Talkers for a room full of people: espeak-ng speaks our own plain sentences.

Many languages and voices, each with its own pitch, pace and size of mouth. The sentences say
nothing of note; with a dozen talkers at once none is understood anyway.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthesis.dsp import SAMPLE_RATE

SENTENCES: dict[str, tuple[str, ...]] = {
    "en-us": (
        "The train leaves a little after six, so we have time for another cup.",
        "I put the keys on the shelf beside the door, as I always do.",
        "They moved the market to the other side of the square last month.",
        "Well, yes, that is more or less what she told me too.",
        "If it stays dry we could walk along the river and come back by bus.",
    ),
    "en-gb": (
        "My sister is painting the kitchen, and it takes longer than she thought.",
        "Did you see how early it gets dark now?",
        "We had soup and bread, and afterwards a piece of apple cake.",
        "He has been learning the cello for about a year.",
        "No, the blue one was already sold, so I took the green.",
    ),
    "de": (
        "Am Samstag fahren wir zu meinen Eltern aufs Land.",
        "Ich nehme noch einen Kaffee, und du?",
        "Das Buch liegt seit Wochen auf meinem Tisch, ich komme einfach nicht dazu.",
        "Der Bus war wieder voll, also bin ich zu Fuß gegangen.",
    ),
    "fr-fr": (
        "On se retrouve devant la gare vers sept heures et demie.",
        "J'ai planté des tomates sur le balcon, elles poussent bien.",
        "Tu as raison, il vaut mieux attendre demain matin.",
        "La petite rue derrière l'église est fermée depuis lundi.",
    ),
    "es": (
        "Mañana tengo que levantarme temprano para ir al mercado.",
        "La casa de mis abuelos está cerca del mar.",
        "Pues sí, la película me gustó más de lo que pensaba.",
        "¿Quieres sentarte junto a la ventana?",
    ),
    "it": (
        "Domenica andiamo in montagna, se il tempo è bello.",
        "Ho lasciato la bicicletta sotto il portico.",
        "Mi piace questo posto perché è tranquillo la mattina.",
        "Sì, ne abbiamo parlato ieri sera a cena.",
    ),
    "pt": (
        "A minha vizinha faz um bolo de laranja muito bom.",
        "Ontem choveu tanto que ficámos em casa.",
        "Acho que a loja abre às nove e meia.",
    ),
    "nl": (
        "We hebben de hele middag in de tuin gezeten.",
        "Ik bel je morgen nog even over de sleutels.",
        "Het museum is op maandag meestal gesloten.",
    ),
    "sv": (
        "Vi brukar åka ut till sjön när det blir varmt.",
        "Jag tror att affären stänger klockan åtta.",
    ),
    "pl": (
        "Wczoraj byliśmy na długim spacerze w parku.",
        "Może usiądziemy tam, przy oknie?",
    ),
}
"""What is said, by espeak-ng's name of the language."""

MEN = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "Andy", "Denis", "Marco", "Lee")
WOMEN = ("f1", "f2", "f3", "f4", "f5", "Annie", "Alicia", "linda", "steph")
"""espeak-ng's voice variants, half of the talkers from each."""


@dataclass(frozen=True)
class Talker:
    """One person's voice: language, variant, pitch (0 to 99), words a minute, size of mouth."""

    language: str
    variant: str
    pitch: int
    words_a_minute: int
    size: float


def make_talker(rng: np.random.Generator, language: str) -> Talker:
    """Return a talker of a language with a voice of their own."""
    return Talker(
        language,
        str(rng.choice(MEN if rng.random() < 0.5 else WOMEN)),
        int(rng.integers(25, 70)),
        int(rng.integers(140, 195)),
        float(rng.uniform(0.92, 1.12)),
    )


def program() -> str:
    """Return the path of espeak-ng.

    Raises
    ------
    RuntimeError
        When it is not installed.
    """
    path = shutil.which("espeak-ng")
    if path is None:
        raise RuntimeError("espeak-ng, which speaks the voices, is missing: apt install espeak-ng")
    return path


def speak(talker: Talker, sentence: str) -> np.ndarray:
    """Return a spoken sentence [samples] at unit RMS, at `dsp.SAMPLE_RATE`.

    Raises
    ------
    RuntimeError
        When espeak-ng is missing or refuses.
    """
    import soundfile
    import soxr

    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        command = [program(), "-v", f"{talker.language}+{talker.variant}"]
        command += ["-p", str(talker.pitch), "-s", str(talker.words_a_minute)]
        command += ["-w", str(wav), "--", sentence]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not wav.exists():
            raise RuntimeError(f"espeak-ng failed on {sentence!r}: {done.stderr.strip()}")
        speech, rate = soundfile.read(wav)
    # A longer vocal tract lowers formants and pitch together, as slower playback does.
    speech = np.asarray(soxr.resample(speech, rate / talker.size, SAMPLE_RATE), dtype=float)
    return np.asarray(speech / np.sqrt(np.mean(speech**2)))
