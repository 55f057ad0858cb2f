"""The word lists of the story grammar: who, where, what.

Earlier entries are drawn more often. Every list is small on purpose: a model of
one million parameters has to learn all of them, and the variety of the stories
comes from combining them.
A few names carry an accent so that the tokenizer meets multi-byte characters.
"""

#: (name, gender); the gender picks the pronouns.
NAMES = (
    ("Lily", "f"), ("Tom", "m"), ("Mia", "f"), ("Ben", "m"), ("Anna", "f"), ("Max", "m"),
    ("Zoé", "f"), ("Leo", "m"), ("Rosa", "f"), ("Oscar", "m"), ("Ella", "f"), ("André", "m"),
    ("Nora", "f"), ("Finn", "m"), ("Ivy", "f"), ("Hugo", "m"), ("Ruby", "f"), ("Sam", "m"),
    ("Chloé", "f"), ("Noé", "m"), ("Wilma", "f"), ("Theo", "m"), ("Daisy", "f"), ("Jack", "m"),
)

#: Pronouns by gender: subject, object, possessive, and the human words for the hero.
PRONOUNS = {
    "f": {"he": "she", "him": "her", "his": "her", "child": "girl"},
    "m": {"he": "he", "him": "him", "his": "his", "child": "boy"},
}

ANIMALS = (
    "fox", "rabbit", "mouse", "bear", "hedgehog", "squirrel", "cat", "dog", "frog", "duck",
    "turtle", "pig", "goat", "lamb", "beaver", "mole",
)

#: Animals that can reach high things.
TALL_HELPERS = ("owl", "crow", "giraffe", "monkey", "sparrow")

#: Who gives advice.
WISE_HELPERS = ("owl", "toad", "stork", "swan", "badger")

#: Small ones who need to be saved.
SMALL_ANIMALS = ("kitten", "bee", "chick", "puppy", "bunny", "snail", "duckling")

TRAITS = (
    "little", "brave", "kind", "curious", "happy", "shy", "clever", "small", "friendly", "gentle",
    "quiet", "cheerful",
)

#: "lived ..." phrases.
HOMES = (
    "in a small house by the river", "near a big forest", "at the edge of a green field",
    "in a cosy hole under an old tree", "on a hill near the sea", "in a quiet village",
    "next to a blue lake", "on a small farm", "behind the old mill", "in a little red house",
)

#: "went to ..." places with the preposition used when somebody is there.
PLACES = (
    ("the park", "in"), ("the forest", "in"), ("the river", "at"), ("the garden", "in"),
    ("the beach", "on"), ("the meadow", "in"), ("the market", "at"), ("the lake", "at"),
    ("the hill", "on"), ("the old mill", "at"),
)

#: Where a lost thing turns up.
HIDING_PLACES = (
    "under the bed", "behind a big stone", "under a bush", "in the tall grass",
    "inside an old boot", "under a pile of leaves", "behind the door", "next to the well",
)

COLOURS = ("red", "blue", "green", "yellow", "white", "golden", "silver")

#: Things to love and lose.
TOYS = ("ball", "hat", "scarf", "drum", "bell", "doll", "cup", "key", "ring", "button")

#: Things the wind carries into a tree.
FLYERS = ("kite", "balloon", "paper boat", "hat", "scarf", "ball")

#: Food as (plural).
FOODS = ("apples", "berries", "nuts", "carrots", "cookies", "pears", "pancakes", "plums")

FLOWERS = ("sunflower", "rose", "tulip", "pumpkin", "apple tree", "bean")

#: What can be built, and of what.
BUILDINGS = (
    ("boat", "wood"), ("bridge", "stones"), ("tower", "blocks"), ("house", "sticks"),
    ("castle", "sand"), ("raft", "logs"),
)

#: What can be broken by accident.
FRAGILE = ("vase", "cup", "bowl", "plate", "jar", "lamp")

#: "wanted to learn how to ..." with the past tense.
SKILLS = (
    ("swim", "swam"), ("sing", "sang"), ("dance", "danced"), ("read", "read"), ("skate", "skated"),
    ("paint", "painted"), ("whistle", "whistled"), ("climb", "climbed"),
)

WEATHER = ("sunny", "warm", "bright", "windy", "cold", "cloudy")

#: Gifts that cost nothing.
GIFTS = (
    "a song", "a picture", "a necklace of shells", "a crown of flowers", "a cake", "a wooden spoon",
    "a little book", "a lantern",
)
