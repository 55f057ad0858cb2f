"""The plots of the story grammar: setup, problem, help, resolution, moral.

A plot is a tuple of beats; a beat is a tuple of sentences of which one is told.
Placeholders in braces come from `grammar.Cast.fields`; `{he}` and its kin follow
the hero, `{fhe}` and its kin the friend. Placeholders keep names and objects
consistent through the story, which is what the model has to learn to copy.
"""

LOST = (
    ("{Hero} had a {colour} {toy}. {He} loved it very much.",
     "{Hero} had a {colour} {toy} and took it everywhere."),
    ("One {weather} day, {hero} went to {place}. When {he} came home, the {toy} was gone!",
     "One morning, {hero} woke up and could not find the {colour} {toy}."),
    ("{He} looked here and there — nothing. {Hero} began to cry.",
     "{He} looked everywhere, but the {toy} was not there. {Hero} was very sad."),
    ("{Friend} the {friend_kind} heard {him}. \"Why are you sad, {hero}?\" asked {friend}. \"I lost my {toy},\" said {hero}.",
     "\"What is wrong?\" asked {friend} the {friend_kind}. \"My {toy} is gone,\" said {hero}."),
    ("\"Do not worry,\" said {friend}. \"We will look for it together.\"",
     "\"I will help you,\" said {friend}. \"Two can see more than one.\""),
    ("They looked for a long time. At last, they found the {colour} {toy} {hiding}!",
     "They looked again. Then {friend} saw something {colour} {hiding}. It was the {toy}!"),
    ("{Hero} gave {friend} a big hug. \"Thank you, {friend}!\" {he} said.",
     "\"Thank you, {friend}!\" said {hero}, and {he} danced with joy."),
    ("{Hero} learned that a good friend is worth more than any {toy}.",
     "From that day on, {hero} always took good care of the {toy}."),
)

STUCK = (
    ("One {weather} day, {hero} played with a {colour} {flyer} {in_place}.",
     "{Hero} went to {place} with a new {colour} {flyer}."),
    ("Suddenly, the wind took the {flyer} and it got stuck in a tall tree.",
     "The wind was strong. Whoosh! The {flyer} flew up into a tall tree."),
    ("{Hero} jumped and jumped, but the tree was too tall.",
     "{Hero} tried to climb the tree, but {he} was too small."),
    ("{Friend} the {tall} came by. \"Can I help you?\" asked {friend}.",
     "Just then, {friend} the {tall} came along. \"What is wrong, {hero}?\" {fhe} asked."),
    ("\"My {flyer} is stuck in the tree,\" said {hero}. \"That is easy for me,\" said {friend}.",
     "{Hero} pointed at the tree. \"I can not reach my {flyer},\" {he} said. \"I can,\" said {friend}."),
    ("{Friend} went up to the top of the tree and came back with the {colour} {flyer}.",
     "Up, up, up went {friend}. Soon the {flyer} was safe in the hands of {hero}."),
    ("\"Thank you!\" said {hero}. They played together until the sun went down.",
     "{Hero} was so happy! \"Come and play with me,\" {he} said, and they played all day."),
    ("{Hero} learned that it is good to ask for help.",
     "From that day on, {hero} and {friend} were best friends."),
)

SHARE = (
    ("One {weather} day, {hero} found a basket full of {food} {in_place}.",
     "{Hero} had many {food}. {He} had picked them all morning."),
    ("\"These {food} are all for me,\" {he} said.",
     "{He} wanted to eat them all alone."),
    ("Then {friend} the {friend_kind} came by. {Fhe} looked hungry and tired.",
     "On the way home, {hero} met {friend} the {friend_kind}, who was hungry."),
    ("\"I have not eaten all day,\" said {friend}. {Hero} looked at the {food} and thought for a while.",
     "\"Those {food} look so good,\" said {friend}. {Hero} did not know what to do."),
    ("\"Here,\" said {hero}. \"Half of the {food} are for you.\"",
     "\"Sit down with me,\" said {hero}. \"We can share the {food}.\""),
    ("They sat under a tree and ate the {food} together. The {food} had never tasted so good!",
     "{Friend} smiled. They ate the {food} and told funny stories."),
    ("The next day, {friend} came back with a warm soup for {hero}.",
     "When {hero} was hungry the next week, {friend} shared fresh bread with {him}."),
    ("{Hero} learned that sharing makes everything better.",
     "And so {hero} learned that a shared meal is the best meal."),
)

STORM = (
    ("One day, {hero} was walking to {place} when the sky turned dark.",
     "One {weather} afternoon, {hero} was playing {in_place}. Then dark clouds came."),
    ("Boom! The thunder was loud, and the rain began to fall.",
     "It began to rain, and the wind blew harder and harder."),
    ("{Hero} was wet and cold — and very scared. {He} did not know the way home.",
     "{Hero} was afraid of the storm. {He} ran and ran, but {he} could not find the way home."),
    ("Then {he} saw a small light. It was the house of {friend} the {wise}.",
     "Then {he} heard a voice. \"Come in, come in!\" called {friend} the {wise}."),
    ("{Friend} gave {him} a blanket and a cup of hot tea. \"The storm will pass,\" {fhe} said.",
     "Inside it was warm and dry. \"You are safe here,\" said {friend}."),
    ("They sang songs until the rain stopped. Then a big rainbow stood in the sky.",
     "They told stories by the fire. When they looked out again, the sun was shining."),
    ("\"Thank you, {friend},\" said {hero}. \"I am not afraid any more.\"",
     "{Friend} showed {hero} the way home, and {hero} waved goodbye."),
    ("{Hero} learned that every storm comes to an end.",
     "From that day on, {hero} visited {friend} every week."),
)

NIGHT = (
    ("{Hero} was afraid of the dark. Every night, {he} hid under the blanket.",
     "When the night came, {hero} could not sleep. It was so dark!"),
    ("One night, {he} heard a strange sound at the window. Tap, tap, tap.",
     "One night, {he} saw a big shadow on the wall. {He} held {his} breath."),
    ("\"Who is there?\" asked {hero} with a small voice.",
     "{Hero} took all {his} courage. \"Who are you?\" {he} asked."),
    ("\"It is only me,\" said {friend} the {wise}. \"Come out and see.\"",
     "It was only {friend} the {wise}. \"Do not be afraid,\" {fhe} said. \"Come with me.\""),
    ("They sat on the roof and looked up. The sky was full of stars.",
     "Outside, the moon was round and bright, and a thousand stars were shining."),
    ("\"Without the dark, we could not see the stars,\" said {friend}.",
     "\"You see?\" said {friend}. \"The night is beautiful.\""),
    ("{Hero} counted the stars until {he} fell asleep.",
     "{Hero} smiled. \"Good night, stars,\" {he} said, and {he} slept well."),
    ("From that night on, {hero} was never afraid of the dark again.",
     "{Hero} learned that the dark is not so bad when you look at it well."),
)

BUILD = (
    ("One {weather} day, {hero} wanted to build a {building} of {material}.",
     "{Hero} had a dream. {He} wanted to build a big {building} of {material}."),
    ("{He} worked all morning. But then — crash! The {building} fell down.",
     "{He} worked fast, too fast. Soon the {building} fell apart."),
    ("\"I will never do it,\" said {hero}, and {he} sat down and cried.",
     "{Hero} was angry and kicked the {material}. \"I give up!\" {he} said."),
    ("{Friend} the {friend_kind} saw it all. \"May I help you?\" {fhe} asked.",
     "Then {friend} the {friend_kind} came by. \"A good {building} needs time,\" {fhe} said."),
    ("They started again, slowly, one piece after the other.",
     "\"Let us try again,\" said {friend}. This time they took care with every piece."),
    ("In the evening, the {building} was ready. It was strong and beautiful!",
     "After three days, the {building} stood tall, and it did not fall."),
    ("\"We did it!\" said {hero} and {friend}, and they laughed.",
     "All the animals came to see the {building}, and {hero} was very proud."),
    ("{Hero} learned that good things take time.",
     "{Hero} learned that you should never give up."),
)

TRUTH = (
    ("One {weather} day, {hero} was playing inside with a ball.",
     "One day, {hero} ran through the house, though {his} mother had said not to run."),
    ("Crash! The {colour} {fragile} fell down and broke.",
     "{He} did not see the {colour} {fragile}. It fell and broke into many pieces."),
    ("{Hero} was scared and hid the pieces under the bed.",
     "\"Oh no!\" said {hero}. \"Mother will be angry.\" {He} hid the pieces."),
    ("In the evening, {his} mother asked, \"Where is the {fragile}?\" {Hero} looked at the floor.",
     "\"Have you seen the {fragile}?\" asked {his} mother. {Hero} said nothing."),
    ("{His} friend {friend} the {friend_kind} said, \"Tell the truth, {hero}. You will feel better.\"",
     "That night, {hero} could not sleep. {Friend} the {friend_kind} said, \"You should tell the truth.\""),
    ("So {hero} went to {his} mother. \"I broke the {fragile},\" {he} said. \"I am sorry.\"",
     "In the morning, {hero} told {his} mother everything. \"I am so sorry,\" {he} said."),
    ("{His} mother gave {him} a hug. \"Thank you for telling me,\" she said.",
     "{His} mother was not angry. \"We can fix it together,\" she said, and they did."),
    ("{Hero} learned that it is always best to tell the truth.",
     "From that day on, {hero} always told the truth."),
)

SORRY = (
    ("{Hero} and {friend} the {friend_kind} were playing {in_place}. {Friend} had a {colour} {toy}.",
     "One {weather} day, {hero} saw that {friend} the {friend_kind} had a new {colour} {toy}."),
    ("{Hero} wanted the {toy} so much that {he} took it and ran away.",
     "\"Give me the {toy}!\" said {hero}, and {he} pulled it away."),
    ("{Friend} was very sad and went home alone.",
     "{Friend} began to cry. \"You are not nice,\" {fhe} said, and went home."),
    ("{Hero} played with the {toy}, but it was no fun to play alone.",
     "Now {hero} had the {toy}, but {he} did not feel happy at all."),
    ("So {he} went to the house of {friend} and knocked on the door.",
     "The next morning, {hero} took the {toy} and went to see {friend}."),
    ("\"I am sorry, {friend},\" said {hero}. \"Here is your {toy}.\"",
     "\"This {colour} {toy} is yours,\" said {hero}. \"I am very sorry.\""),
    ("{Friend} smiled. \"Let us play together,\" {fhe} said.",
     "\"Thank you, {hero},\" said {friend}. \"Now we can share it.\""),
    ("{Hero} learned that a friend is better than a {toy}.",
     "From that day on, they always asked first and shared everything."),
)

RESCUE = (
    ("One {weather} day, {hero} went for a walk to {place}.",
     "One morning, {hero} was on the way to {place}."),
    ("Suddenly, {he} heard a small voice. \"Help! Help!\"",
     "Then {he} heard somebody cry — very softly."),
    ("A {small} had fallen into a deep hole and could not get out.",
     "It was a {small}. The poor {small} was stuck in the mud."),
    ("{Hero} was too weak to pull alone. So {he} ran to get {friend} the {friend_kind}.",
     "{Hero} pulled and pulled, but nothing moved. \"{Friend}, come quick!\" {he} called to {friend} the {friend_kind}."),
    ("{Friend} brought a long rope. \"Hold on!\" {fhe} called.",
     "{Friend} had an idea. They used a long branch."),
    ("They pulled together. One, two, three — and the {small} was free!",
     "Together they were strong, and soon the {small} was safe."),
    ("\"Thank you!\" said the {small}. \"You saved me.\"",
     "The {small} was so happy and thanked {hero} and {friend} many times."),
    ("From that day on, {hero}, {friend} and the {small} were friends.",
     "{Hero} learned that together we are strong."),
)

LEARN = (
    ("{Hero} wanted to learn how to {skill}. All the others could {skill}, but not {hero}.",
     "More than anything, {hero} wanted to {skill}."),
    ("{He} tried once, but it did not go well. Everybody laughed.",
     "{He} tried and tried, but it was too hard."),
    ("{Hero} went to {place} and sat there all alone.",
     "\"I will never learn how to {skill},\" said {hero} with a sad voice."),
    ("An old {wise} named {friend} sat down next to {him}. \"I can teach you,\" said {friend}.",
     "{Friend} the {wise} heard {him}. \"Nobody can {skill} on the first day,\" said {friend}."),
    ("Every day they met {in_place}, and every day it went a little better.",
     "They practised every morning, in the sun and in the rain."),
    ("Then the big day came. {Hero} closed {his} eyes — and {skilled}!",
     "After many weeks, {hero} {skilled} like never before."),
    ("Everybody clapped. \"Well done, {hero}!\" said {friend}.",
     "\"I can {skill}!\" said {hero}. {Friend} was very proud of {him}."),
    ("{Hero} learned that practice makes you better.",
     "{Hero} learned that you can do it if you keep trying."),
)

GIFT = (
    ("It was the birthday of {friend} the {friend_kind}, but {hero} had no money for a gift.",
     "One day, {friend} the {friend_kind} had a birthday, and {hero} wanted to bring a gift."),
    ("{He} went to the market, but everything cost too much.",
     "{Hero} looked into {his} pocket. It was empty."),
    ("{Hero} was sad. \"What can I give to my best friend?\" {he} thought.",
     "\"I can not go without a gift,\" {he} said, and {he} sat down to think."),
    ("Then {he} had an idea. \"I will make {gift}!\" {he} said.",
     "An old {wise} said, \"The best gifts are made by hand.\" So {hero} made {gift}."),
    ("{He} worked on it all night long.",
     "It took a long time, but {hero} made it with love."),
    ("At the party, {hero} gave {friend} {gift}. {Friend} was very happy.",
     "{Friend} opened the box and found {gift}. {Fhis} eyes were shining."),
    ("\"This is the best gift of all!\" said {friend}.",
     "\"You made it for me?\" asked {friend}. \"Thank you, {hero}!\""),
    ("{Hero} learned that a gift from the heart is the best gift.",
     "And {hero} was happy too, because giving is a joy."),
)

GARDEN = (
    ("One {weather} day, {hero} found a seed {in_place}.",
     "One spring morning, {friend} the {friend_kind} gave {hero} a small seed."),
    ("{He} put it into the ground and waited. Nothing happened.",
     "{Hero} planted it behind the house and looked at it every hour."),
    ("\"Grow, grow!\" said {hero}, but the seed did not grow.",
     "After two days, {hero} was sad. \"My seed is bad,\" {he} said."),
    ("{Friend} the {friend_kind} laughed. \"A seed needs water, sun and time,\" {fhe} said.",
     "\"You must wait,\" said {friend} the {friend_kind}. \"And you must give it water.\""),
    ("So {hero} gave it water every day and sang to it every night.",
     "Every morning, {hero} brought water. {He} waited and waited."),
    ("Then, one day, a green leaf came out of the ground! It grew and grew.",
     "After many days, something green looked out of the ground."),
    ("In the summer, it was a tall {flower}. \"Look, {friend}!\" said {hero}.",
     "Soon there was a beautiful {flower} in front of {hero} and {friend}."),
    ("{Hero} learned that you need patience for the best things.",
     "And {hero} learned to wait."),
)

PLOTS = (LOST, STUCK, SHARE, STORM, NIGHT, BUILD, TRUTH, SORRY, RESCUE, LEARN, GIFT, GARDEN)

#: Openings for an animal or a child; `{who}` is "fox" or "girl".
OPENINGS = (
    "Once upon a time, there was a {trait} {who} named {hero}. {He} lived {home}.",
    "Once upon a time, there was a {who} named {hero} who lived {home}.",
    "Once upon a time, a {trait} {who} named {hero} lived {home}.",
    "There was once a {trait} {who} called {hero}. {He} lived {home}.",
    "Long ago, a {trait} {who} named {hero} lived {home}.",
    "{Hero} was a {trait} {who}. {He} lived {home}.",
    "{Hero} the {who} lived {home}.",
    "The {trait} {who} {hero} lived {home}.",
)

#: Now and then a last line follows the moral.
ENDINGS = ("", "", "", " The end.", " And they all lived happily ever after.")
