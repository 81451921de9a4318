"""Talkers for a room full of people: espeak-ng speaks our own plain sentences.

There are many languages and voices, each with its own pitch, pace, melody and mouth size, and
repeated sentences vary. The sentences are trivial, and with a dozen talkers at once unintelligible.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from synthesis.dsp import SAMPLE_RATE, gust_curve, stretch

SENTENCES: dict[str, tuple[str, ...]] = {
    "en-us": (
        "The train leaves a little after six, so we have time for another cup.",
        "I put the keys on the shelf beside the door, as I always do.",
        "They moved the market to the other side of the square last month.",
        "Well, yes, that is more or less what she told me too.",
        "If it stays dry we could walk along the river and come back by bus.",
        "Really?",
        "Oh, that sounds lovely.",
        "Right, and then what?",
    ),
    "en-gb": (
        "My sister is painting the kitchen, and it takes longer than she thought.",
        "Did you see how early it gets dark now?",
        "We had soup and bread, and afterwards a piece of apple cake.",
        "He has been learning the cello for about a year.",
        "No, the blue one was already sold, so I took the green.",
        "Yes, quite.",
        "I thought so too, actually.",
        "Would you pass me the sugar?",
    ),
    "de": (
        "Am Samstag fahren wir zu meinen Eltern aufs Land.",
        "Ich nehme noch einen Kaffee, und du?",
        "Das Buch liegt seit Wochen auf meinem Tisch, ich komme einfach nicht dazu.",
        "Der Bus war wieder voll, also bin ich zu Fuß gegangen.",
        "Ja, genau.",
        "Ach, wirklich?",
        "Das machen wir dann nächste Woche.",
    ),
    "fr-fr": (
        "On se retrouve devant la gare vers sept heures et demie.",
        "J'ai planté des tomates sur le balcon, elles poussent bien.",
        "Tu as raison, il vaut mieux attendre demain matin.",
        "La petite rue derrière l'église est fermée depuis lundi.",
        "Ah oui?",
        "C'est vrai, je n'y avais pas pensé.",
        "Bien sûr.",
    ),
    "es": (
        "Mañana tengo que levantarme temprano para ir al mercado.",
        "La casa de mis abuelos está cerca del mar.",
        "Pues sí, la película me gustó más de lo que pensaba.",
        "¿Quieres sentarte junto a la ventana?",
        "Claro que sí.",
        "¿De verdad?",
        "Luego te lo cuento con calma.",
    ),
    "it": (
        "Domenica andiamo in montagna, se il tempo è bello.",
        "Ho lasciato la bicicletta sotto il portico.",
        "Mi piace questo posto perché è tranquillo la mattina.",
        "Sì, ne abbiamo parlato ieri sera a cena.",
        "Ma certo.",
        "Davvero?",
        "Ci vediamo dopo, davanti al cinema.",
    ),
    "pt": (
        "A minha vizinha faz um bolo de laranja muito bom.",
        "Ontem choveu tanto que ficámos em casa.",
        "Acho que a loja abre às nove e meia.",
        "Pois é.",
        "A sério?",
        "Depois vamos todos jantar a casa dela.",
    ),
    "nl": (
        "We hebben de hele middag in de tuin gezeten.",
        "Ik bel je morgen nog even over de sleutels.",
        "Het museum is op maandag meestal gesloten.",
        "Ja, precies.",
        "Echt waar?",
        "Morgen wordt het weer wat warmer.",
    ),
    "sv": (
        "Vi brukar åka ut till sjön när det blir varmt.",
        "Jag tror att affären stänger klockan åtta.",
        "Ja, just det.",
        "Verkligen?",
        "Hon ringde igår och hälsade till dig.",
    ),
    "pl": (
        "Wczoraj byliśmy na długim spacerze w parku.",
        "Może usiądziemy tam, przy oknie?",
        "No właśnie.",
        "Naprawdę?",
        "Jutro jedziemy pociągiem nad morze.",
    ),
}
"""Sentences by espeak-ng's name of the language."""

MEN = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "Andy", "Denis", "Marco", "Lee")
WOMEN = ("f1", "f2", "f3", "f4", "f5", "Annie", "Alicia", "linda", "steph")
"""espeak-ng's voice variants, half of the talkers from each."""


MELODY_PERCENT = (130, 240)
"""Lowest and highest setting of espeak-ng's pitch range: by default it spans four or five semitones
in a sentence, while people who talk with friends span eight to ten."""

MOODS_PITCH, MOODS_PACE = 8.0, 0.08
"""Deviation of the pitch (0 to 99) and of the pace (a share) from one sentence to the next."""

DRIFT, DRIFT_S = 0.035, (1.2, 0.15)
"""Deviation of the pitch within a sentence, as a share, and its longest and shortest period in
seconds: a human voice is less steady than a synthesiser."""


@dataclass(frozen=True)
class Talker:
    """One person's voice.

    Parameters
    ----------
    language, variant : str
        espeak-ng's names.
    pitch : int
        Height of the voice, from 0 to 99.
    melody_percent : int
        Movement of the pitch, relative to espeak-ng's flat reading.
    words_a_minute : int
        Pace.
    size : float
        Size of the mouth: 1 is the variant's own.
    """

    language: str
    variant: str
    pitch: int
    melody_percent: int
    words_a_minute: int
    size: float


def make_talker(rng: np.random.Generator, language: str) -> Talker:
    """Return a talker of a language with their own voice."""
    return Talker(
        language,
        str(rng.choice(MEN if rng.random() < 0.5 else WOMEN)),
        int(rng.integers(20, 60)),
        int(rng.integers(*MELODY_PERCENT)),
        int(rng.integers(145, 200)),
        float(rng.uniform(0.92, 1.12)),
    )


def program() -> str:
    """Return the path of espeak-ng.

    Raises
    ------
    RuntimeError
        When espeak-ng is not installed.
    """
    path = shutil.which("espeak-ng")
    if path is None:
        raise RuntimeError("espeak-ng, which speaks the voices, is missing: apt install espeak-ng")
    return path


def speak(rng: np.random.Generator, talker: Talker, sentence: str) -> np.ndarray:
    """Return a spoken sentence [samples] at unit RMS, at `dsp.SAMPLE_RATE`.

    Each time a little otherwise: in another mood, with another drift of the voice.

    Raises
    ------
    RuntimeError
        When espeak-ng is missing or fails.
    """
    import soxr

    pitch = int(np.clip(talker.pitch + rng.normal(0, MOODS_PITCH), 0, 99))
    pace = round(talker.words_a_minute * rng.lognormal(0, MOODS_PACE))
    command = [program(), "-m", "-v", f"{talker.language}+{talker.variant}"]
    command += ["-p", str(pitch), "-s", str(pace)]
    text = f'<prosody range="{talker.melody_percent}%">{escape(sentence)}</prosody>'
    speech, rate = run([*command, "--", text])
    # A longer vocal tract lowers formants and pitch together, like slower playback.
    speech = np.asarray(soxr.resample(speech, rate / talker.size, SAMPLE_RATE), dtype=float)
    speech = drifting(rng, speech)
    return np.asarray(speech / np.sqrt(np.mean(speech**2)))


def run(command: list[str]) -> tuple[np.ndarray, int]:
    """Run an espeak-ng command, the text last; return its speech [samples] and the rate.

    Raises
    ------
    RuntimeError
        When espeak-ng fails.
    """
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        command = [*command[:-2], "-w", str(wav), *command[-2:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not wav.exists():
            raise RuntimeError(f"espeak-ng failed on {command[-1]!r}: {done.stderr.strip()}")
        speech, rate = soundfile.read(wav)
    return speech, rate


def drifting(rng: np.random.Generator, speech: np.ndarray) -> np.ndarray:
    """Return speech [samples] with slightly drifting pitch and pace, like a live voice."""
    from scipy.interpolate import CubicSpline

    duration_s = speech.size / SAMPLE_RATE
    drift = gust_curve(rng, 1024, max(duration_s, DRIFT_S[0]), *DRIFT_S)
    pace = np.exp(DRIFT * stretch(drift, speech.size))
    at = np.cumsum(pace) * ((speech.size - 1) / np.sum(pace))
    return np.asarray(CubicSpline(np.arange(speech.size), speech)(at))
