"""The story grammar: draws a cast, picks a plot, tells it.

`story(rng)` is the only entry point. All randomness comes from the given
`random.Random`, so equal seeds tell equal stories.
"""

from __future__ import annotations

import random

import plots
import words

#: One hero in four is a child; the others are animals.
CHILD_SHARE = 0.25

#: One story in five breaks into paragraphs instead of running on in one line.
PARAGRAPH_SHARE = 0.2


def pick(rng: random.Random, options):
    """One of the options, earlier ones more often (3 : 2 between the first two).

    Were all equally likely, the most likely next word would hang on rounding, and
    two correct implementations would tell different greedy stories.
    """
    return rng.choices(options, weights=[1 / (rank + 2) for rank in range(len(options))])[0]


def _capital(text: str) -> str:
    """`text` with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def _hero_fields(rng: random.Random, name: str, gender: str) -> dict[str, str]:
    """Name, pronouns and kind of the hero."""
    pronouns = words.PRONOUNS[gender]
    is_child = rng.random() < CHILD_SHARE
    return {
        "hero": name,
        "he": pronouns["he"],
        "him": pronouns["him"],
        "his": pronouns["his"],
        "who": pronouns["child"] if is_child else pick(rng, words.ANIMALS),
        "trait": pick(rng, words.TRAITS),
        "home": pick(rng, words.HOMES),
    }


def _friend_fields(rng: random.Random, name: str, gender: str, hero_kind: str) -> dict[str, str]:
    """Name, pronouns and the kinds the friend may have, none equal to the hero's."""
    pronouns = words.PRONOUNS[gender]
    kinds = [kind for kind in words.ANIMALS if kind != hero_kind]
    return {
        "friend": name,
        "fhe": pronouns["he"],
        "fhis": pronouns["his"],
        "friend_kind": pick(rng, kinds),
        "tall": pick(rng, words.TALL_HELPERS),
        "wise": pick(rng, words.WISE_HELPERS),
        "small": pick(rng, words.SMALL_ANIMALS),
    }


def _prop_fields(rng: random.Random) -> dict[str, str]:
    """The things and places of the story."""
    place, preposition = pick(rng, words.PLACES)
    building, material = pick(rng, words.BUILDINGS)
    skill, skilled = pick(rng, words.SKILLS)
    return {
        "place": place,
        "in_place": f"{preposition} {place}",
        "hiding": pick(rng, words.HIDING_PLACES),
        "colour": pick(rng, words.COLOURS),
        "toy": pick(rng, words.TOYS),
        "flyer": pick(rng, words.FLYERS),
        "food": pick(rng, words.FOODS),
        "flower": pick(rng, words.FLOWERS),
        "building": building,
        "material": material,
        "fragile": pick(rng, words.FRAGILE),
        "skill": skill,
        "skilled": skilled,
        "gift": pick(rng, words.GIFTS),
        "weather": pick(rng, words.WEATHER),
    }


def cast(rng: random.Random) -> dict[str, str]:
    """All placeholders of one story, each also with a capital first letter."""
    hero, hero_gender = pick(rng, words.NAMES)
    friend, friend_gender = pick(rng, [entry for entry in words.NAMES if entry[0] != hero])
    fields = _hero_fields(rng, hero, hero_gender)
    fields |= _friend_fields(rng, friend, friend_gender, fields["who"])
    fields |= _prop_fields(rng)
    return fields | {_capital(key): _capital(value) for key, value in fields.items()}


def story(rng: random.Random) -> str:
    """One whole story, without any separator."""
    fields = cast(rng)
    beats = [pick(rng, plots.OPENINGS), *(pick(rng, beat) for beat in pick(rng, plots.PLOTS))]
    told = [beat.format_map(fields) for beat in beats]
    if rng.random() < PARAGRAPH_SHARE:
        # Setup, problem and help, resolution: the breaks every plot shares.
        told = [" ".join(part) for part in (told[:3], told[3:6], told[6:])]
        return "\n\n".join(told) + rng.choice(plots.ENDINGS)
    return " ".join(told) + rng.choice(plots.ENDINGS)


def stories(seed: int, count: int) -> list[str]:
    """`count` stories drawn from `seed`."""
    rng = random.Random(seed)
    return [story(rng) for _ in range(count)]


if __name__ == "__main__":
    for text in stories(seed=0, count=5):
        print(text, end="\n---\n")
