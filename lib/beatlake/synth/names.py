"""Titles, artist names and label names: made up, varied, and with the traps of real ones.

A name depends only on the index of its recording, artist or label, so every file shows the same
one. `SPECIAL_TITLES` and `SPECIAL_ARTISTS` hold values that careless readers damage: texts that
look like nulls or numbers, commas, quotes, other scripts, surrounding blanks, backslashes, titles
above 255 characters. Each of them occurs at every scale.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beatlake.synth.randomness import Array, below, uniform
from beatlake.synth.texts import Text, joined, looked_up, where_null

_FIRST = (
    "Acid Amber Analog Ancient Arctic Astral Atomic August Backroom Basement Berlin Bitter Black "
    "Blind Blue Borrowed Bright Broken Burning Cerulean Chrome City Classic Closed Cold Concrete "
    "Copper Cosmic Crystal Dark Dawn Dead Deep Desert Digital Distant Double Dusty Early Eastern "
    "Electric Elastic Empty Endless Eternal Faded False Fallen Fast Feral Final First Floating "
    "Fluid Forgotten Fractal Frozen Future Gentle Ghost Glass Global Golden Good Gravel Grey Half "
    "Heavy Hidden High Hollow Human Humid Hyper Indigo Inner Iron Ivory Jade Last Late Liquid "
    "Little Lonely Lost Loud Low Lucid Lunar Magnetic Marble Midnight Minor Modular Molten Morning "
    "Moving Muted Narrow Neon Nervous Night Nocturnal Northern Obsidian Ocean Old Open Orange "
    "Outer Pale Paper Parallel Perfect Phantom Plastic Polar Private Quiet Random Raw Rapid Red "
    "Restless Rising Rough Royal Rubber Rural Sacred Salt Scarlet Second Secret Serial Shallow "
    "Silent Silver Simple Slow Smooth Solar Solid Southern Spectral Spiral Static Steel Still "
    "Stolen Strange Subtle Sudden Summer Sunken Super Tactile Tender Third Thin Tidal Total Tribal "
    "Twisted Ultra Under Urban Vacant Velvet Violet Vivid Warm Western White Wicked Wild Winter "
    "Wired Wooden Yellow Zero"
).split()
_SECOND = (
    "Affair Air Alarm Alley Altitude Angel Animal Answer Arcade Arrival Ascent Avenue Axis Ballad "
    "Bass Beach Beacon Bell Bird Blossom Body Bones Border Bounce Breath Bridge Cascade Castle "
    "Cathedral Chain Chamber Change Chapter Chase Circle Circuit Clockwork Cloud Club Coast Code "
    "Collapse Colours Comet Compass Contact Control Corner Corridor Crowd Current Cycle Dance "
    "Daylight Decay Delay Delta Departure Desire Device Dimension Disco Distance Dive District "
    "Doubt Dream Drift Drive Drum Dust Echo Eclipse Edge Ember Emotion Engine Escape Exit Eyes "
    "Fabric Factory Fall Fever Field Fire Flame Flight Floor Flow Flower Forest Form Formula Fox "
    "Freedom Frequency Friction Frontier Function Galaxy Game Garden Gate Glow Gravity Groove "
    "Ground Guide Habit Harbour Harmony Haze Heart Heat Heaven Height Hope Horizon Hour House Hunt "
    "Hypnosis Ice Illusion Impact Impulse Island Journey Jungle Key Kingdom Kiss Knife Ladder Lake "
    "Language Laser Layer Leaf Level Life Light Lightning Line Logic Loop Love Machine Magic "
    "Mantra Map Mask Matter Maze Melody Memory Message Method Mind Mirage Mirror Mist Moment "
    "Monsoon Moon Motion Mountain Movement Mystery Nature Need Nerve Network Noise Oasis Orbit "
    "Order Origin Palace Panic Paradise Parade Pattern People Phase Picture Pilot Planet Pleasure "
    "Point Poison Power Pressure Prism Process Promise Proof Pulse Question Rain Reaction Reason "
    "Rhythm Ride River Road Room Rose Route Runner Rush Sand Satellite Scene Season Sense Sequence "
    "Shadow Shape Shelter Shine Shore Signal Silence Sister Skin Sky Sleep Smoke Snake Society "
    "Soul Sound Source Space Spark Spirit Spring Stage Star State Station Steam Step Stone Storm "
    "Story Stranger Stream Street String Sun Surface Surge Swarm Symbol System Tape Target Temple "
    "Tension Territory Theory Thread Thunder Tide Tiger Time Tool Touch Tower Trace Track Train "
    "Transit Trap Tree Trial Tribe Trigger Tunnel Valley Vapour Vector Velocity Vessel View Vision "
    "Voice Voltage Voyage Wall Waltz Warehouse Water Wave Weather Whisper Wind Window Wire Wolf "
    "World Zone"
).split()
_PHRASES = (
    "I Can't Wait|Don't Stop|Let It Go, Let It Flow|Rise, Fall, Repeat|Up & Down|What's Next?|"
    "We Are One|Here, There|Feel It|Get Up!|Over and Over|Für Immer|Cœur Brisé|Corazón Salvaje|"
    "São Paulo Nights|Señorita|Déjà Vu|Über Alles Hinaus|Ångström|Łódź|İstanbul|Żar|Ночной поезд|"
    "Лето|Весна, прощай|夜明け|東京の夜|爱|음악|سماء|אור|Ελπίδα|Ритм и бас|100%|24/7|#1|4 Walls|"
    '808|303, 909|1999|2 Steps|The "Real" Thing|Say "Yes"|Rock \'n\' Rave|Ain\'t Over|Mr. Groove|'
    "Lay Down (On Me)|[Untitled]|Track 07|A.M.|U.F.O.|No. 5|Hey, You|La La La|Na Na Na|Oh!|Ça Va"
).split("|")
_ENDINGS = (
    "Pt. 1|Pt. 2|II|III|(Intro)|(Interlude)|(Live)|(feat. MC Sol)|2.0|(Dub)|(Reprise)|VIP|"
    "(2018 Remaster)|(Early, Unfinished)|EP|(Acoustic)"
).split("|")
_MIXES = (
    "Original Mix|Original Mix|Original Mix|Original Mix|Original Mix|Original Mix|Extended Mix|"
    "Extended Mix|Radio Edit|Dub Mix|Club Mix|Instrumental|Instrumental Mix|Vocal Mix|Dub|Edit|"
    'Extended|Live|12" Mix|Album Version'
).split("|")
_ARTIST_FIRST = (
    "DJ|MC|Kid|Doctor|Miss|Señor|The|Captain|Marek|Lena|Jonas|Ana|Tomás|Yuki|Ivo|Nadia|Kofi|Elif|"
    "Anders|Chloé|Sven|Mira|Paolo|Zoë|Igor|Amara|Luca|Ines|Bo|Hana|Felix|Noor|Otto|Rhea|Stefan|Uma|"
    "Viktor|Wanda|Ximena|Yasmin|Ada|Björn|Cleo|Dario|Esra|Finn|Greta|Hugo|Ida|Jules|Kai|Lior|Maja|"
    "Nils|Olga|Pia|Quinn|Rafa|Sana|Timo|Ugo|Vera|Wim|Young"
).split("|")
_ARTIST_LAST = (
    "Adler|Bakker|Castell|Dorn|Ekström|Farrow|Grieg|Holt|Ivanov|Jansen|Kessler|Laurent|Moreau|"
    "Novák|Okafor|Pereira|Quist|Romero|Sato|Tanaka|Ueda|Vidal|Weiss|Xu|Yılmaz|Zielinski|Brandt|"
    "Costa|Duval|Eriksen|Fontaine|Gallo|Haas|Iversen|Jovanović|Kovač|Lindqvist|Meyer|Nakamura|"
    "Olsen|Petrov|Rossi|Schulz|Torres|Urban|Volkov|Wolff|Young|Zhang|& Friends|Brothers|Collective|"
    "Soundsystem|Project|Orchestra|Unit|Division|Effect|Theory|3000|& The Machine|Jr., Trio|Twins"
).split("|")
_LABEL_LAST = (
    "Records|Recordings|Music|Audio|Digital|Sounds|Trax|Black|Limited|Recordings, Ltd.|Collective|"
    "Tapes|Music Group|Lab|Industries|Series|Productions|Beats|Wax|Vinyl"
).split("|")

SPECIAL_TITLES = (
    "NaN", "null", "NULL", "NA", "N/A", "None", "nan", "true", "f", "0", "-1", "1e5", "2020-01-01",
    "\\N", "\\", "C:\\Dreams\\New", 'Say "Hello", Wave Goodbye', '"Live"', '"', ",", "Tab\tBed",
    " Leading And Trailing ", "=SUM(A1:A9)", "O'Neil's Groove; Drop", "Привет, мир", "東京、夜",
    "한밤의 춤", "عشق", "אהבה", "Ελλάδα", "🔥 Fire 🔥", "e\u0301tude (combining)", "Zero\u200bWide",
    "Non\u00a0Breaking", "Åre – Øst — “Quotes”", "A" + " Very" * 60 + " Long Title, Indeed",
    "Движение " * 40 + "конец",
)  # fmt: skip
SPECIAL_ARTISTS = (
    "NaN", "null", "NA", "None", "Various Artists", "Tremor, The Younger", "The \"Bang\" Theory",
    "Ночь", "夜の猫", "!!", "69", "Sænd", "x", "undefined", "A, B & C", "\\N",
)  # fmt: skip
_SPECIAL_SHARE = 1 / 1500


@cache
def _titles() -> tuple[Text, Text, Text]:
    ofs = [f"{a} of {b}" for a in _SECOND[::9] for b in _SECOND[::13]]
    first = [None, None, None, "The", "My", "In the", "Another", "No", "Your"]
    heads = pa.array(first * 8 + _FIRST, pa.string())
    bodies = pa.array(_SECOND * 4 + ofs + _PHRASES, pa.string())
    return heads, bodies, pa.array(_ENDINGS, pa.string())


def _with_specials(text: Text, index: Array, total: int, specials: Text, seed: int) -> Text:
    """Put in the special names: each at one fixed index, and some more at random."""
    step = max(1, total // len(specials))
    fixed = (index % step == 0) & (index < step * len(specials))
    mask = fixed | (uniform(index, seed, "special") < _SPECIAL_SHARE)
    if not mask.any():
        return text
    own = index[mask]
    chosen = np.where(fixed[mask], own // step, below(own, len(specials), seed, "which special"))
    return pc.replace_with_mask(text, pa.array(mask), looked_up(specials, chosen))


def titles(recording: Array, total: int, seed: int) -> Text:
    """The title of each recording, without mix or remix credit.

    The special titles are spread over the indexes below `total`.
    """
    heads, bodies, endings = _titles()
    body = looked_up(bodies, below(recording, len(bodies), seed, "body"))
    head = looked_up(heads, below(recording, len(heads), seed, "head"))
    end = looked_up(endings, below(recording, len(endings), seed, "end"))
    end = where_null(end, uniform(recording, seed, "ends") >= 0.06)
    text = pc.binary_join_element_wise(head, body, end, " ", null_handling="skip")
    return _with_specials(text, recording, total, pa.array(SPECIAL_TITLES), seed)


def slugs(text: Text) -> Text:
    """Addresses' form of a title: lower-case ASCII words joined by hyphens, `-` where none."""
    slug = pc.utf8_lower(pc.utf8_slice_codeunits(text, 0, 60))
    slug = pc.replace_substring_regex(slug, r"[^a-z0-9]+", "-")
    return pc.if_else(pc.equal(pc.binary_length(slug), 0), "-", slug)


def artist_names(artist: Array, total: int, seed: int) -> Text:
    """The name of each artist; the special ones are spread over the indexes below `total`."""
    bodies, heads = pa.array(_ARTIST_LAST + _SECOND), pa.array(_ARTIST_FIRST * 3 + _FIRST)
    last = looked_up(bodies, below(artist, len(bodies), seed, "artist last"))
    first = looked_up(heads, below(artist, len(heads), seed, "artist first"))
    text = pc.binary_join_element_wise(first, last, " ")
    return _with_specials(text, artist, total, pa.array(SPECIAL_ARTISTS), seed)


def label_names(label: Array, seed: int) -> Text:
    """The name of each label."""
    kinds, words = pa.array(_LABEL_LAST), pa.array(_FIRST + _SECOND)
    first = looked_up(words, below(label, len(words), seed, "label first"))
    second = looked_up(words, below(label, len(words), seed, "label second"))
    second = where_null(second, uniform(label, seed, "label words") < 0.5)
    last = looked_up(kinds, below(label, len(kinds), seed, "label last"))
    return pc.binary_join_element_wise(first, second, last, " ", null_handling="skip")


def mixes(recording: Array, seed: int) -> Text:
    """Beatport's `mix` of recordings that are not remixes."""
    known = pa.array(_MIXES)
    return looked_up(known, below(recording, len(known), seed, "mix"))


def remix_credits(remixer_names: Text) -> Text:
    """The credit of a remix, such as `Lena Holt Remix`."""
    return joined(remixer_names, " Remix")
