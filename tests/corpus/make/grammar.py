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
        "who": pronouns["child"] if is_child else rng.choice(words.ANIMALS),
        "trait": rng.choice(words.TRAITS),
        "home": rng.choice(words.HOMES),
    }


def _friend_fields(rng: random.Random, name: str, gender: str, hero_kind: str) -> dict[str, str]:
    """Name, pronouns and the kinds the friend may have, none equal to the hero's."""
    pronouns = words.PRONOUNS[gender]
    kinds = [kind for kind in words.ANIMALS if kind != hero_kind]
    return {
        "friend": name,
        "fhe": pronouns["he"],
        "fhis": pronouns["his"],
        "friend_kind": rng.choice(kinds),
        "tall": rng.choice(words.TALL_HELPERS),
        "wise": rng.choice(words.WISE_HELPERS),
        "small": rng.choice(words.SMALL_ANIMALS),
    }


def _prop_fields(rng: random.Random) -> dict[str, str]:
    """The things and places of the story."""
    place, preposition = rng.choice(words.PLACES)
    building, material = rng.choice(words.BUILDINGS)
    skill, skilled = rng.choice(words.SKILLS)
    return {
        "place": place,
        "in_place": f"{preposition} {place}",
        "hiding": rng.choice(words.HIDING_PLACES),
        "colour": rng.choice(words.COLOURS),
        "toy": rng.choice(words.TOYS),
        "flyer": rng.choice(words.FLYERS),
        "food": rng.choice(words.FOODS),
        "flower": rng.choice(words.FLOWERS),
        "building": building,
        "material": material,
        "fragile": rng.choice(words.FRAGILE),
        "skill": skill,
        "skilled": skilled,
        "gift": rng.choice(words.GIFTS),
        "weather": rng.choice(words.WEATHER),
    }


def cast(rng: random.Random) -> dict[str, str]:
    """All placeholders of one story, each also with a capital first letter."""
    (hero, hero_gender), (friend, friend_gender) = rng.sample(words.NAMES, 2)
    fields = _hero_fields(rng, hero, hero_gender)
    fields |= _friend_fields(rng, friend, friend_gender, fields["who"])
    fields |= _prop_fields(rng)
    return fields | {_capital(key): _capital(value) for key, value in fields.items()}


def story(rng: random.Random) -> str:
    """One whole story, without any separator."""
    fields = cast(rng)
    beats = [rng.choice(plots.OPENINGS), *(rng.choice(beat) for beat in rng.choice(plots.PLOTS))]
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
